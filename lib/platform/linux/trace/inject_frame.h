/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_TRACE_INJECT_FRAME_H
#define PI_PLATFORM_LINUX_TRACE_INJECT_FRAME_H

#include <sys/user.h>

#include "platform/linux/trace/inject_gadgets.h"

/*
 * The signal frames through which a thread comes back to itself, should the helper be killed while
 * the thread has our registers. They lie below what the thread's function uses of the stack, and
 * rt_sigreturn takes from them its registers, its signal mask and all of its vector registers.
 * Nothing is mapped, and no code is written.
 */

enum {
    PI_INJECT_FRAME_MOST_BYTES = 16 * 1024,
    /* With what a copy ends itself that nobody holds any more; a number that programs don't use, so
     * that it can be told by it (capture/copy.h). */
    PI_INJECT_ORPHAN_STATUS = 181
};

/* What the frames are made from. */
typedef struct pi_inject_origin {
    int32_t pid;
    int32_t tid; /* stands */
    const pi_inject_gadgets *gadgets;
    const struct user_regs_struct *registers;
    uint64_t mask;
    uint64_t lowest;   /* the frames must not reach below this address; 0 */
    bool repairs_call; /* its call answers EINTR for our sake */
} pi_inject_origin;

typedef struct pi_inject_frame {
    uint64_t address;       /* the stack pointer that a call of the thread's is to return with */
    uint64_t child_address; /* and a copy of it, which ends then */
    uint64_t call_address;  /* the one that rt_sigreturn is to be called with */
    uint64_t saved_address; /* what was there before */
    size_t saved_bytes;
    unsigned char saved[PI_INJECT_FRAME_MOST_BYTES];
} pi_inject_frame;

/* Writes the frames: false where there is no room, or they can't be written. */
bool pi_inject_push_frame(const pi_inject_origin *origin, pi_inject_frame *frame);

/* Writes back what they have overwritten: in the process, or in its copy. */
void pi_inject_pop_frame(int32_t pid, const pi_inject_frame *frame);

/* Of a thread in a call that the kernel restarts: the number of that call, also where it is under
 * way for the second time (restart_syscall); -1 where that can't be told. */
long pi_inject_restarted_call(int32_t pid, const struct user_regs_struct *registers);

/* Whether the thread's call will be restarted by the kernel. */
bool pi_inject_is_restarted(const struct user_regs_struct *registers);

#endif
