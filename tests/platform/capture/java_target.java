import java.io.FileOutputStream;
import java.io.IOException;

/**
 * A thread that runs, and makes garbage, and two that sleep. They append a letter for what they
 * have done to the file that it is given: r, s. Ends by itself where a sleep was short.
 */
public class Target {
    private static final int ROUNDS = 20000;
    private static FileOutputStream progress;

    private static void tell(char letter) {
        try {
            progress.write(letter);
        } catch (IOException lost) {
            Runtime.getRuntime().halt(5);
        }
    }

    private static void run() {
        String[] kept = new String[100];
        for (;;) {
            for (int i = 0; i < ROUNDS; i++)
                kept[i % kept.length] = Integer.toString(i);
            tell('r');
        }
    }

    private static void rest() {
        for (;;) {
            long begin = System.nanoTime();
            try {
                Thread.sleep(2);
            } catch (InterruptedException early) {
                Runtime.getRuntime().halt(4);
            }
            if (System.nanoTime() - begin < 2000000)
                Runtime.getRuntime().halt(3);
            tell('s');
        }
    }

    public static void main(String[] arguments) throws IOException {
        progress = new FileOutputStream(arguments[0], true);
        new Thread(Target::run).start();
        new Thread(Target::rest).start();
        System.out.print("ready\n");
        System.out.flush();
        rest();
    }
}
