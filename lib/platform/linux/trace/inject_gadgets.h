/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_TRACE_INJECT_GADGETS_H
#define PI_PLATFORM_LINUX_TRACE_INJECT_GADGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What has to be known before a thread can be made to call the kernel for us (trace/inject_call.h).
 * It is looked for while the process still runs: code may be long.
 */

/* Places in the code that the process has mapped, and the form of its vector registers. */
typedef struct pi_inject_gadgets {
    uint64_t call;     /* syscall; ret */
    uint64_t restorer; /* the call of rt_sigreturn; 0: none, then the next one and .call make it */
    uint64_t number;   /* pop %rax; ret */
    /* Of the registers that XSAVE keeps, those that every thread has room for in its signal frames,
     * and the bytes up to their end. The others (AMX) get room when a thread first uses them. */
    uint64_t plain_features;
    uint32_t plain_bytes;
} pi_inject_gadgets;

typedef struct pi_inject_search {
    int32_t pid;
    const char *maps; /* the text of its maps */
    size_t maps_length;
    uint64_t near;       /* the mapping of this instruction is searched first; 0 */
    unsigned char *code; /* for what is read */
    size_t code_capacity;
} pi_inject_search;

/* False where they don't suffice. What wasn't found is 0. */
bool pi_inject_find_gadgets(const pi_inject_search *search, pi_inject_gadgets *gadgets);

/* Whether they are still there: the process may have unmapped the code since, or run another
 * program. */
bool pi_inject_has_gadgets(int32_t pid, const pi_inject_gadgets *gadgets);

#endif
