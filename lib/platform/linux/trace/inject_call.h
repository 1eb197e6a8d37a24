/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_TRACE_INJECT_CALL_H
#define PI_PLATFORM_LINUX_TRACE_INJECT_CALL_H

#include "platform/linux/trace/inject_frame.h"

/*
 * Has a thread that stands make system calls for us, and puts it back as it was: into the stop from
 * which the kernel restarts the call that the thread was in.
 *
 * The helper may be killed at any instruction, and the kernel then lets the thread run with what it
 * has. So it has, at each moment, either its own registers or such that lead to its signal frame
 * (trace/inject_frame.h):
 *
 *   - It is sent to a system call whose number is rt_sigreturn's. Only when it stands before that
 *     one the number and the arguments are changed into those that are wanted. Behind the call a
 *     `ret` leads to rt_sigreturn again: to libc's own code for it, or through the frame, which has
 *     its number, to the same system call.
 *   - All signals are blocked meanwhile. On the way in the registers come first and then the mask,
 *     on the way out the mask first: the frame has both.
 *   - The frame is there before the first change, and what it has overwritten is put back after the
 *     last.
 *
 * One moment is left. A seccomp filter that is suspended for the calls (PTRACE_O_SUSPEND_SECCOMP)
 * judges again from when the helper is gone: if that happens after the number was changed, and
 * before the thread has had its turn to go past the filter, the filter sees the call.
 *
 * Nothing is stepped: SIGTRAP's disposition would be lost where it is blocked or ignored.
 */

typedef enum pi_inject_result {
    PI_INJECT_OK,
    PI_INJECT_FAILED, /* nothing was begun, or pi_inject_end puts it back */
    PI_INJECT_LATE,   /* the thread is under way in the kernel; its frame leads it home */
    PI_INJECT_GONE    /* it has ended */
} pi_inject_result;

typedef struct pi_inject {
    /* Set by the caller, who has set PTRACE_O_TRACESYSGOOD on the thread, too. */
    pi_inject_origin origin; /* .tid stands in PTRACE_EVENT_STOP; .mask is read */
    bool has_no_frame;       /* it is killed with us, or has no code for one: .call, only */
    uint64_t deadline_ns;
    void (*wait)(uint64_t limit_ns); /* until something may have happened to the thread */

    pi_inject_frame frame;
    /* Set behind pi_inject_begin, or NULL: called once while the thread is in the next call, and
     * leaves it alone. */
    void (*meanwhile)(void *argument);
    void *argument;
    int32_t forked_pid; /* by PTRACE_EVENT_CLONE; 0: none */
    uint64_t call_ns;   /* that the last call took */
} pi_inject;

/* Writes the frame; FAILED where that isn't possible. */
pi_inject_result pi_inject_begin(pi_inject *inject);

/* Makes a call: its answer, which may be a negative errno. After LATE nothing else can be done with
 * the thread. */
pi_inject_result pi_inject_call(pi_inject *inject, long number, const uint64_t arguments[4],
                                long *answer);

/* Puts the thread back. It stands as before, or result is LATE or GONE. */
pi_inject_result pi_inject_end(pi_inject *inject);

/* A `wait` that leaves SIGCHLD alone: for 50 us, however much longer it might. */
void pi_inject_sleep(uint64_t limit_ns);

#endif
