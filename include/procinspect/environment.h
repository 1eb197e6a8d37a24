/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_ENVIRONMENT_H
#define PROCINSPECT_ENVIRONMENT_H

#include <procinspect/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The environment a process was started with, as far as its memory still has it: /proc/PID/environ,
 * of which at most 4 MiB is taken. A program that changes its own environment later (setenv) moves
 * it elsewhere, and the kernel doesn't follow.
 */
typedef struct procinspect_environment_variable {
    const char *name;
    const char *value;       /* an empty text where is_redacted */
    const void *value_bytes; /* not repaired; NULL where is_redacted */
    size_t value_bytes_length;
    uint32_t is_redacted; /* 1: the context's redacted_names or the query hold the value back */
    uint32_t reserved;
} procinspect_environment_variable;

/* Variables in the order in which the process has them. Of a name that is there twice the first
 * counts, as for getenv; entries without a '=' are left out. */
typedef struct procinspect_environment {
    const procinspect_environment_variable *const *items;
    size_t count;
    int32_t pid; /* their process */
} procinspect_environment;

/* Query flag: hold all values back. */
enum { PROCINSPECT_ENVIRONMENT_QUERY_REDACT = 0x1 };

/* What procinspect_environment_read (process.h) is asked for; its query may be NULL. */
typedef struct procinspect_environment_query {
    uint32_t struct_size; /* set by _init */
    uint32_t flags;       /* PROCINSPECT_ENVIRONMENT_QUERY_… */
    /* Only variables whose name, as the process has it or as repaired, contains this text, without
     * regard to (ASCII) case; NULL: all. */
    const char *name_contains;
} procinspect_environment_query;

PROCINSPECT_API void procinspect_environment_query_init(procinspect_environment_query *query,
                                                        size_t struct_size);

/*
 * procinspect_environment_read gives an environment that is the caller's, to be freed with this.
 * A kernel thread has none: an empty one. A process in the middle of execve is waited for, 20 ms at
 * most, and then an IO error (EBUSY). Errors: INVALID_ARGUMENT, POLICY (the context doesn't
 * allow environments), GONE (also of a zombie, which has forgotten its environment), REPLACED,
 * PERMISSION (needs ptrace read access to the process), IO, TOO_LARGE (more than 256 MiB, with what
 * repair adds), NO_MEMORY, NO_RESOURCES.
 */
PROCINSPECT_API void procinspect_environment_free(const procinspect_environment *environment);

#ifdef __cplusplus
}
#endif

#endif
