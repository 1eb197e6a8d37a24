/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_USER_NAMES_H
#define PI_PLATFORM_LINUX_USER_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* Names of users, each asked for once in a call. Zero-initialised is empty. */
typedef struct pi_user_names {
    struct pi_cached_user_name *items; /* by ascending user id */
    size_t count;
    size_t capacity;
    char *scratch; /* for the user database */
    size_t scratch_size;
} pi_user_names;

/*
 * The name of a user, its decimal number where the user database has none, in the arena. 0, or an
 * errno of the user database; ENOMEM also where the arena is exhausted.
 */
int pi_user_name(pi_user_names *names, uint32_t user_id, pi_arena *arena, const char **name);

void pi_user_names_free(pi_user_names *names);

#endif
