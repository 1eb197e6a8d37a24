/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_WAIT_REASON_H
#define PI_PLATFORM_LINUX_WAIT_REASON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does a thread in this state sleep, so that its system call tells more? */
bool pi_state_is_sleep(char state);

/* PROCINSPECT_WAIT_… for a thread in this state; system_call holds the bytes of its file syscall,
 * none where that could not be read or isn't asked for. */
uint32_t pi_wait_reason(char state, const char *system_call, size_t length);

#endif
