/* Forks of targets by a helper, as a capture by copy makes them. */
#ifndef TESTS_PLATFORM_CAPTURE_FORK_RUN_H
#define TESTS_PLATFORM_CAPTURE_FORK_RUN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "platform/linux/capture/fork.h"

typedef enum fork_phase {
    FORK_STARTED,
    FORK_COPIED, /* the copy can be read; or there is none */
    FORK_FINISHED
} fork_phase;

typedef struct fork_run {
    /* What is asked for. */
    pid_t pid;
    bool repeats; /* fork and end until the helper is killed */
    bool lacks_restorer;
    uint64_t limit_ns; /* of the fork; where it isn't 0 nobody looks for userfaultfds before */

    /* What came of it. */
    pi_stop_result stopped;
    pi_fork_result result;
    bool has_settled;
    bool has_ended;        /* no copy and no zombie is left */
    uint32_t old_copies;   /* that could not be reaped before */
    uint32_t through_code; /* whether the thread was in user code */
    pi_fork *fork;
    int32_t helper_result; /* of pi_helper_run */

    /* At work. */
    atomic_int phase;
    atomic_int may_end;
    atomic_int helper_pid;
    atomic_uint rounds;
    int proc;
    int directory;
    void *tables;
    size_t table_bytes;
    pthread_t thread;
} fork_run;

/* True: all forks from now on are made as of programs without code that calls rt_sigreturn. */
extern bool fork_lacks_restorer;

/* Stops the process, forks it and lets it go; returns when the copy can be read. */
fork_run *fork_begin(pid_t pid);
/* The same over and over, until helper_pid is killed; returns at once. */
fork_run *fork_begin_repeated(pid_t pid);
/* With a limit, in which the fork isn't done: it waits for who reads a userfaultfd. */
fork_run *fork_begin_limited(pid_t pid, uint64_t limit_ns);
/* Ends the copy. The results stay until fork_free. */
void fork_end(fork_run *run);
void fork_free(fork_run *run);

/* Forks and ends, and fails the test unless all goes well. */
void fork_once(pid_t pid);

/* Reads the memory of a process; fails the test where that can't be. */
void read_memory_of(pid_t pid, const void *address, void *data, size_t length);

/* How many children the process has that aren't reaped, zombies among them; -1 where the kernel
 * doesn't tell. */
int count_children(pid_t pid);
/* How many of these aren't zombies. */
int count_living_children(pid_t pid);

#endif
