/* A process that never stops executing itself.
 * usage: execs main|thread [again]   which of its threads does: the first, or another, which then
 * becomes the first
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { LONGEST_LIFE_S = 900 };

static char **arguments;

static void *execute(void *unused) {
    (void)unused;
    execl("/proc/self/exe", "execs", arguments[1], "again", (char *)NULL);
    _exit(6);
}

int main(int argc, char **argv) {
    pthread_t thread;
    if (argc < 2)
        return 2;
    arguments = argv;
    if (argc == 2)
        alarm(LONGEST_LIFE_S); /* stays through execve */
    if (strcmp(argv[1], "thread") != 0)
        execute(NULL);
    if (pthread_create(&thread, NULL, execute, NULL) != 0)
        return 3;
    for (;;)
        pause();
}
