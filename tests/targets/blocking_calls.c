/*
 * A process with a thread in every kind of blocking system call, which tells whether any call ever
 * came back early.
 *
 * Prints `ready PID`. Then reads lines: `report` prints what every thread has seen so far, `quit`
 * (or the end of the input) lets every thread's call end, checks that each ends with the right
 * result, reports and exits: 0 for `ok`, 1 for `violations N`.
 */
#include "blocking_calls.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The main thread's own read is watched like any other. */
static unsigned main_interruptions;

static bool read_command(char *line, size_t size) {
    while (fgets(line, (int)size, stdin) == NULL) {
        if (errno != EINTR || feof(stdin)) {
            return false;
        }
        main_interruptions++;
        clearerr(stdin);
    }
    return true;
}

static unsigned report(void) {
    const unsigned violations = workers_report() + checks_report() + main_interruptions;
    printf("main_read eintr %u\n", main_interruptions);
    if (violations == 0) {
        printf("ok\n");
    } else {
        printf("violations %u\n", violations);
    }
    return violations;
}

int main(void) {
    char line[64];
    sigset_t all;

    /* With a namespace of its own, where that is permitted, nothing remains of the queues even
     * after SIGKILL. */
    if (unshare(CLONE_NEWIPC) != 0 && errno != EPERM && errno != EINVAL) {
        perror("unshare");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    if (!workers_start() || !checks_start()) {
        fprintf(stderr, "blocking_calls: cannot start its threads: %s\n", strerror(errno));
        return 2;
    }
    printf("ready %d\n", (int)getpid());
    while (read_command(line, sizeof line) && strcmp(line, "quit\n") != 0) {
        if (strcmp(line, "report\n") == 0) {
            report();
        }
    }
    checks_quit();
    const bool ended = workers_quit();
    const unsigned violations = report();
    fflush(stdout);
    /* Threads that hang still use what exit() would take away. */
    if (!ended) {
        _exit(1);
    }
    return violations == 0 ? 0 : 1;
}
