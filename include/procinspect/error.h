/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_ERROR_H
#define PROCINSPECT_ERROR_H

#include <procinspect/api.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Every call that can fail returns int32_t: PROCINSPECT_OK or one of the negative codes below.
 * Codes are only ever appended; treat one that you don't know as a failure.
 */
enum {
    PROCINSPECT_OK = 0,
    /* The caller's mistake: a NULL, a number out of range, an options struct with unknown bytes
       set. */
    PROCINSPECT_ERROR_INVALID_ARGUMENT = -1,
    /* No such process, thread or module. */
    PROCINSPECT_ERROR_NOT_FOUND = -2,
    /* The process behind a handle has ended. */
    PROCINSPECT_ERROR_GONE = -3,
    /* The process behind a handle has ended, and another one runs under its number now. */
    PROCINSPECT_ERROR_REPLACED = -4,
    /* The host's policy (procinspect/context.h) refuses. */
    PROCINSPECT_ERROR_POLICY = -5,
    /* The kernel refuses: another user's process, Yama's ptrace_scope, a missing capability. */
    PROCINSPECT_ERROR_PERMISSION = -6,
    /* The process is traced by another debugger; the message names its pid. */
    PROCINSPECT_ERROR_TRACED = -7,
    /* More at once than a limit of the context allows; try again later. */
    PROCINSPECT_ERROR_BUSY = -8,
    /* The result would be larger than a limit allows; the message names both sizes. */
    PROCINSPECT_ERROR_TOO_LARGE = -9,
    /* This build, system or target architecture cannot do it. */
    PROCINSPECT_ERROR_UNSUPPORTED = -10,
    /* Out of memory. */
    PROCINSPECT_ERROR_NO_MEMORY = -11,
    /* Out of descriptors or processes. */
    PROCINSPECT_ERROR_NO_RESOURCES = -12,
    /* A time limit passed before it was done. */
    PROCINSPECT_ERROR_TIMED_OUT = -13,
    /* A callback or a procinspect_cancellation asked to stop. */
    PROCINSPECT_ERROR_CANCELLED = -14,
    /* Reading or writing failed; os_errno says how. */
    PROCINSPECT_ERROR_IO = -15
};

/*
 * Where a failing call says what happened. It is the caller's (on the stack, say); every function
 * takes a nullable pointer to one as its last argument, fills it completely when it fails and
 * leaves it alone when it succeeds.
 */
typedef struct procinspect_error {
    int32_t code;     /* what the call returned */
    int32_t os_errno; /* the system's errno behind it, 0 where there was none */
    uint32_t reserved[6];
    /* The cause, and what to do about it: UTF-8, one sentence or two, NUL-terminated. Names that a
     * target process chose are repaired and shortened in it. */
    char message[480];
} procinspect_error;

/* The name of a code, "PROCINSPECT_ERROR_GONE"; "unknown" for a number that is none. Static. */
PROCINSPECT_API const char *procinspect_error_name(int32_t code);

#ifdef __cplusplus
}
#endif

#endif
