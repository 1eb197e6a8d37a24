/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* A program that handles signals, as all but the smallest do, with a thread that runs and two that
 * sleep; ends by itself where a sleep was short. */

static void ignore(int number) {
    (void)number;
}

static void *run(void *argument) {
    for (volatile unsigned value = 1;; value = value * 31 + 7)
        if (argument != NULL)
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
    }
    return argument;
}

int main(void) {
    struct sigaction action = {.sa_handler = ignore};
    pthread_t thread;
    prctl(PR_SET_PDEATHSIG, 9);
    if (sigaction(SIGUSR1, &action, NULL) != 0 || pthread_create(&thread, NULL, run, NULL) != 0 ||
        pthread_create(&thread, NULL, rest, NULL) != 0 || write(1, "ready\n", 6) != 6)
        return 1;
    rest(NULL);
    return 2;
}
