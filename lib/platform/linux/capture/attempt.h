/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_ATTEMPT_H
#define PI_PLATFORM_LINUX_CAPTURE_ATTEMPT_H

#include "platform/linux/linux.h"

/* What all attempts have cost the process: for how long it stood still, and in which phase. */
typedef struct pi_capture_cost {
    uint64_t pause_ns;
    uint64_t stop_ns, registers_ns, memory_ns, copy_ns, resume_ns;
    uint32_t restarted_calls;
} pi_capture_cost;

/* What one attempt to capture a process teaches the next. Zero-initialised. */
typedef struct pi_capture_history {
    pi_capture_cost cost;
    int32_t own_helper; /* of another dump of this host's that was in the way, 0 for none */
    bool may_be_traced; /* we let our helper trace us */
    bool was_traced;    /* by somebody, at one time */
    bool needs_copy;    /* it has more memory than can be held */
    bool needs_spool;   /* and can't be copied: */
    char no_copy[128];  /* why */
} pi_capture_history;

/* It lives, and ran another program (execve) or seemed to. */
enum { PI_CAPTURE_AGAIN = 1 };

/* One attempt, into an arena of its own: 0, an error, or PI_CAPTURE_AGAIN. */
int32_t pi_capture_attempt(const pi_process *process, const pi_capture_request *request,
                           pi_capture_history *history, pi_snapshot **snapshot,
                           procinspect_error *error);

#endif
