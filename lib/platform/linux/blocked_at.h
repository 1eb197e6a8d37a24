/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_BLOCKED_AT_H
#define PI_PLATFORM_LINUX_BLOCKED_AT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where a thread stands that waits in the kernel: its stack and instruction pointer, the last two
 * numbers of its file syscall ("230 0x0 … 0x7ffc2f5fe0b8 0x7f0c9d2c0f1a", "-1 0x… 0x…" outside of a
 * call). False, and nothing is set, for one that runs ("running"), or what is no such text.
 */
bool pi_blocked_at(const char *text, size_t length, uint64_t *stack_pointer,
                   uint64_t *instruction_pointer);

#endif
