/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_INTERRUPTED_H
#define PI_PLATFORM_LINUX_CAPTURE_INTERRUPTED_H

#include "platform/linux/capture/hold.h"

/*
 * A signal handler that runs on an alternate stack (sigaltstack): the frames that it interrupted
 * are on another stack, which the thread's stack pointer doesn't lead to. The kernel's frame of the
 * signal says where. Runs in the helper.
 */
typedef struct pi_interrupted {
    uint64_t stack_pointer;
    uint64_t instruction_pointer;
} pi_interrupted;

/* Looks through the bytes of a thread's stack, which begin at `address`, for the kernel's frame of
 * a signal whose handler runs on the alternate stack that holds stack_pointer. */
bool pi_find_interrupted(const unsigned char *stack, size_t length, uint64_t address,
                         uint64_t stack_pointer, pi_interrupted *interrupted);

/* Adds such stacks, of all threads, to the plan that was carried out. True if there are any. */
bool pi_hold_add_interrupted(pi_hold *hold);

#endif
