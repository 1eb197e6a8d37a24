/*
 * A process of many threads that wait, with names that are not to be trusted.
 *
 * usage: crowd THREADS
 *
 * Prints `ready PID`, and then how many threads there are besides the main one: fewer where the
 * system gives no more. Ends when its standard input does.
 */
#include "crowd.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { STACK_BYTES = 16 * 1024 };

static atomic_uint named;

static void *wait_with_name(void *number) {
    char name[32];
    const unsigned i = (unsigned)(uintptr_t)number;
    snprintf(name, sizeof name, "%s%u", crowd_names[i % CROWD_NAMES].bytes, i);
    prctl(PR_SET_NAME, name);
    atomic_fetch_add(&named, 1);
    for (;;)
        pause();
    return NULL;
}

int main(int argument_count, char **arguments) {
    pthread_attr_t attributes;
    pthread_t thread;
    unsigned started = 0;
    char byte;
    if (argument_count != 2)
        return 2;
    const unsigned wanted = (unsigned)atoi(arguments[1]);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    while (started < wanted &&
           pthread_create(&thread, &attributes, wait_with_name, (void *)(uintptr_t)started) == 0)
        started++;
    while (atomic_load(&named) != started)
        usleep(1000);
    printf("ready %d\n%u\n", (int)getpid(), started);
    fflush(stdout);
    return read(STDIN_FILENO, &byte, 1) < 0;
}
