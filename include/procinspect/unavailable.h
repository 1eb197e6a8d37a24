/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_UNAVAILABLE_H
#define PROCINSPECT_UNAVAILABLE_H

#include <procinspect/error.h>

/*
 * Why members of an answer are not known. The answer's `known` mask tells unknown from zero; its
 * `unavailable` list gives the reason of each member that was asked for and could not be had.
 */
typedef struct procinspect_unavailable {
    uint64_t members; /* bits of the answer's own member set, never in its `known` */
    int32_t code;     /* PROCINSPECT_ERROR_… */
    int32_t os_errno; /* 0 where no system call failed */
    const char *reason;
} procinspect_unavailable;

#endif
