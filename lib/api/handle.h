/* SPDX-License-Identifier: MIT */
#ifndef PI_API_HANDLE_H
#define PI_API_HANDLE_H

#include "api/context.h"
#include "base/arena.h"
#include "model/environment.h"

/*
 * How the reading calls make their results: an arena with the handed-out struct at its root, filled
 * by a reader, and freed again if that fails.
 */

/* What a hostile process can make one call of ours allocate. */
#define PI_RESULT_LIMIT_BYTES ((size_t)256 * 1024 * 1024)

/* The arena, or NULL and *error filled. */
pi_arena *pi_result_new(size_t root_size, procinspect_error *error);

/* Why the arena gave no memory: TOO_LARGE at its limit, else NO_MEMORY. */
int32_t pi_result_exhausted(const pi_arena *arena, procinspect_error *error);

/* INVALID_ARGUMENT for bits beyond `known`. */
int32_t pi_members_check(uint64_t members, uint64_t known, procinspect_error *error);

/* The environment into *environment: policy is the caller's. `redact` holds all values back. */
int32_t pi_environment_build(const procinspect_process *process, const char *name_contains,
                             int redact, pi_arena *arena, procinspect_environment *environment,
                             procinspect_error *error);

/* What the environments of a listing share. */
typedef struct pi_listed_environments {
    const procinspect_context *context;
    pi_environment_entries entries;
} pi_listed_environments;

/* Makes the environments of a listing: pi_environment_maker's function. Its user is a
 * pi_listed_environments. */
int32_t pi_environment_for_listing(void *user, pi_bytes block, pi_arena *arena,
                                   procinspect_process_info *info);

#endif
