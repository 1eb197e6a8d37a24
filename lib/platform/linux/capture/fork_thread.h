/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_FORK_THREAD_H
#define PI_PLATFORM_LINUX_CAPTURE_FORK_THREAD_H

#include "platform/linux/capture/fork.h"

/* Which thread is to make calls for us; between the files of capture/fork.h. */

/* What it was about, best first. */
typedef enum pi_fork_place {
    PI_FORK_IN_CALL,     /* waits, and will go on waiting: nobody counts on it */
    PI_FORK_BEHIND_CALL, /* has just got an answer */
    PI_FORK_IN_CODE,     /* runs; may be in a restartable sequence */
    /* In a call with a signal mask of its own, which is gone until it has begun anew; or in one
     * that can't be begun anew from a frame. */
    PI_FORK_IN_ODD_CALL
} pi_fork_place;

typedef struct pi_fork_candidate {
    uint32_t index; /* in the tables of threads and registers */
    pi_fork_place place;
    bool has_sure_stack;   /* it is known where the stack ends: nothing else lies there */
    uint64_t stack_lowest; /* of the mapping; 0: it is in none that will do */
} pi_fork_candidate;

/* The candidates in the order in which they are to be tried; how many. */
uint32_t pi_fork_choose(const pi_fork *fork, pi_fork_candidate candidates[PI_FORK_MOST_CANDIDATES]);

/* Whether this one can make calls: DONE, GONE or why not. Sets ptrace's options on it, and says
 * which. */
pi_fork_result pi_fork_check_thread(const pi_fork *fork, const pi_fork_candidate *candidate,
                                    uintptr_t *options);

/* Prepares calls of a thread that was chosen and checked. */
void pi_fork_borrow(const pi_fork *fork, const pi_fork_candidate *candidate, pi_inject *inject);

#endif
