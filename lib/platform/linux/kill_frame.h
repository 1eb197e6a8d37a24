/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_KILL_FRAME_H
#define PI_PLATFORM_LINUX_KILL_FRAME_H

#include <sys/user.h>

#include "platform/linux/kill_tree.h"

/*
 * A thread that makes a system call for us has our registers. Were the helper killed meanwhile, the
 * kernel would let it run with them. So the call is one that returns at once, and it returns
 * through a signal frame, below what the thread's function uses of the stack: rt_sigreturn gives it
 * back its registers and signal mask. Nothing is mapped, and no code is written.
 */

/* Places in the code that the process has mapped. */
typedef struct pi_kill_gadgets {
    uint64_t call;     /* syscall; ret */
    uint64_t restorer; /* the call of rt_sigreturn */
} pi_kill_gadgets;

/* In the root's code, that around `instruction` first: false where one wasn't found. */
bool pi_kill_find_gadgets(pi_kill_tree *tree, uint64_t instruction, pi_kill_gadgets *gadgets);

/* Writes the frame: the stack pointer with which the call is to be made, 0 where it can't be
 * written. Of the vector registers it holds the lower 128 bits, which is all that a thread in a
 * system call has a right to. */
uint64_t pi_kill_push_frame(int32_t pid, int32_t tid, const pi_kill_gadgets *gadgets,
                            const struct user_regs_struct *registers, uint64_t mask);

#endif
