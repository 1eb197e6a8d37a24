/* SPDX-License-Identifier: MIT */
#ifndef PI_MODEL_ENVIRONMENT_H
#define PI_MODEL_ENVIRONMENT_H

#include <stdbool.h>

#include "model/snapshot.h"

/* One NAME=VALUE of an environment block; both point into the block and end where their length
 * says. */
typedef struct pi_environment_entry {
    const char *name;
    size_t name_length;
    const char *value;
    size_t value_length;
} pi_environment_entry;

/* Takes the next entry off the block (NAME=VALUE NUL …); false at its end. What has no '=' is
 * skipped. */
bool pi_environment_next(pi_bytes *block, pi_environment_entry *entry);

/* The entries of one block after another, with room that stays; zero-initialised is empty. */
typedef struct pi_environment_entries {
    pi_environment_entry *items;
    size_t count;
    size_t capacity;
} pi_environment_entries;

/*
 * Replaces the entries by those of the block, in its order; of a name that is there twice the
 * first, as for getenv. In time n log n, however hostile the block. False: out of memory.
 */
bool pi_environment_split(pi_bytes block, pi_environment_entries *entries);
void pi_environment_entries_free(pi_environment_entries *entries);

/* What the environment of a hosted site says of a process; NULL texts where it isn't said. */
typedef struct pi_site_role {
    bool is_management_site; /* APP_POOL_ID starts with "~1" */
    pi_bytes web_job_name;   /* WEBJOBS_NAME */
    pi_bytes web_job_type;   /* WEBJOBS_TYPE */
} pi_site_role;
pi_site_role pi_site_role_of(pi_bytes block);

#endif
