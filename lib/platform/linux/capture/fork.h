/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_FORK_H
#define PI_PLATFORM_LINUX_CAPTURE_FORK_H

#include "platform/linux/capture/hold.h"
#include "platform/linux/trace/inject_call.h"

/*
 * The capture by copy: one thread of the stopped process calls clone for us (trace/inject_call.h),
 * with no exit signal, so that the process hears nothing of its child. The copy has the memory of
 * this instant, never runs, and is read at leisure. It shares the descriptors until pi_copy_settle
 * has given it a table of its own, so that what the process closes is closed.
 *
 * If the helper is killed, the process goes on as if nothing had been. The copy ends, and stays a
 * zombie of the process's until pi_copy_reap_old, at another capture, or the process's own end.
 */

typedef enum pi_fork_result {
    PI_FORK_DONE,
    PI_FORK_REFUSED,       /* by the kernel, in clone: failed_errno (EAGAIN, ENOMEM ...) */
    PI_FORK_NO_THREAD,     /* none stands where it can make a call */
    PI_FORK_NO_GADGETS,    /* it has not the code for it */
    PI_FORK_SECCOMP,       /* its filter would judge the call, and we may not suspend it */
    PI_FORK_USER_DISPATCH, /* it has its own calls sent back to it as signals */
    PI_FORK_SHADOW_STACK,  /* which no frame of ours agrees with */
    PI_FORK_USERFAULTFD,   /* the fork would wait for who serves its memory */
    PI_FORK_PID_NAMESPACE, /* its children go to another one, which would end with the copy */
    PI_FORK_TOO_LATE,      /* the deadline passed */
    PI_FORK_GONE           /* the process has ended */
} pi_fork_result;

enum { PI_FORK_MOST_CANDIDATES = 32 };

typedef struct pi_fork {
    /* Set by the caller; the rest is zero. */
    pi_stop *stop; /* where all stand, the main thread's registers are read */
    int proc;      /* /proc */
    char *maps;    /* the text of maps; at the end it is read anew into this */
    size_t maps_capacity;
    size_t maps_length;
    pi_inject_gadgets gadgets;
    bool has_fork_events; /* pi_fork_has_events */
    uint64_t deadline_ns; /* by CLOCK_MONOTONIC */
    /* Nullable. Called once while the process is being forked, if it comes to that: what can be
     * done of the rest in that time. Which thread makes the call is PI_STOP_CALLS then. */
    void (*meanwhile)(void *argument);
    void *argument;

    /* Results. */
    int32_t copy_pid;           /* 0: there is none */
    int32_t copy_pid_in_target; /* what clone answered: in the process's own pid namespace */
    int32_t through_tid;        /* which thread made the call */
    int32_t failed_errno;
    uint64_t fork_ns; /* the clone alone */
    /* What pi_copy_settle did. */
    bool copy_stands;         /* it can be read, and ends with us */
    bool has_oom_mark;        /* it is the first to go where memory is short */
    bool has_own_descriptors; /* none, that is */
    bool has_own_group;       /* signals to the process's group don't reach it */

    /* At work. */
    uintptr_t options; /* of ptrace's, that the calls need */
    pi_inject inject;
} pi_fork;

/* Whether the process has a userfaultfd that asked to be told of forks: then each waits until that
 * was read, by a thread that may stand still. Looks through its descriptors, while it runs. */
bool pi_fork_has_events(pi_helper *helper, int process_directory);

/* Forks it. All threads stand before, and after: pi_stop_release lets them go. Only after TOO_LATE
 * the one in the call is left to itself, and finds home. Where .copy_pid isn't 0 there is a copy,
 * whatever the result, that pi_copy_end has to end. */
pi_fork_result pi_fork_target(pi_fork *fork);

/* After TOO_LATE without a copy: waits for the one that the call may yet make, which is ours to
 * trace like its thread. */
void pi_copy_find_late(pi_fork *fork);

/* Makes the copy ready to be read, while the process runs: it ends with the helper from here on,
 * its memory shows no trace of the call, and, as far as that can be had in time, it is the first
 * victim where memory is short and has neither descriptors nor a part in the process's group.
 * False where it has ended. */
bool pi_copy_settle(pi_fork *fork);

/* Ends the copy and has the process wait for it through one of its threads. False where a zombie
 * is left, or the copy doesn't end in time. */
bool pi_copy_end(pi_fork *fork);

/* Has the process wait for zombies that helpers have left which were killed. Before it is seized;
 * .stop's tables are used for nothing but its directory, and registers not at all. How many are
 * left. */
uint32_t pi_copy_reap_old(pi_fork *fork);

#endif
