/* SPDX-License-Identifier: MIT */
#include "platform/linux/wait_reason.h"

#include <sys/syscall.h>

#include <procinspect/thread.h>

#include "base/text.h"

bool pi_state_is_sleep(char state) {
    return state == 'S' || state == 'D';
}

/* "230 0x0 …": number and arguments; "running" for a thread that isn't in the kernel, "-1 …" for
 * one in a page fault. The numbers are those of the machine we were built for. */
static bool is_delay(const char *system_call, size_t length) {
    uint64_t number;
    size_t used = pi_parse_u64(system_call, length, 10, &number);
    if (used == 0 || used == length || system_call[used] != ' ')
        return false;
    return number == SYS_nanosleep || number == SYS_clock_nanosleep;
}

uint32_t pi_wait_reason(char state, const char *system_call, size_t length) {
    switch (state) {
    case 'R':
    case 'Z':
    case 'X':
    case 'x':
        return PROCINSPECT_WAIT_NONE;
    case 'T':
    case 't':
        return PROCINSPECT_WAIT_SUSPENDED;
    default:
        return pi_state_is_sleep(state) && is_delay(system_call, length) ? PROCINSPECT_WAIT_DELAY
                                                                         : PROCINSPECT_WAIT_UNKNOWN;
    }
}
