/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/*
 * A program with a thread that runs and two that sleep. They append a letter for what they have
 * done to the file that it is given: r, s. Ends by itself where a sleep was short.
 *
 * With HANDLES_SIGNALS it does that, as all but the smallest programs do.
 */

enum { ROUNDS = 1000000 };

static int file;

static void tell(const char *letter) {
    if (write(file, letter, 1) != 1)
        exit(5);
}

static void *run(void *argument) {
    volatile unsigned value = 1;
    for (;;) {
        for (int i = 0; i < ROUNDS; i++)
            value = value * 31 + 7;
        tell("r");
    }
    return argument;
}

static void *rest(void *argument) {
    for (;;) {
        struct timespec begin, end, time = {0, 2000000};
        clock_gettime(CLOCK_MONOTONIC, &begin);
        if (nanosleep(&time, NULL) != 0)
            exit(3);
        clock_gettime(CLOCK_MONOTONIC, &end);
        if ((end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec < 2000000)
            exit(4);
        tell("s");
    }
    return argument;
}

#ifdef HANDLES_SIGNALS
static void ignore(int number) {
    (void)number;
}

static int handle_signals(void) {
    struct sigaction action = {.sa_handler = ignore};
    return sigaction(SIGUSR1, &action, NULL);
}
#else
static int handle_signals(void) {
    return 0;
}
#endif

int main(int argc, char **argv) {
    pthread_t thread;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 2)
        return 2;
    file = open(argv[1], O_WRONLY | O_APPEND | O_CLOEXEC);
    if (file < 0 || handle_signals() != 0 || pthread_create(&thread, NULL, run, NULL) != 0 ||
        pthread_create(&thread, NULL, rest, NULL) != 0 || write(1, "ready\n", 6) != 6)
        return 1;
    rest(NULL);
    return 2;
}
