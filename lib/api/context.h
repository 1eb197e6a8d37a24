/* SPDX-License-Identifier: MIT */
#ifndef PI_API_CONTEXT_H
#define PI_API_CONTEXT_H

#include <stdatomic.h>

#include <procinspect/context.h>

#include "base/chunk_store.h"
#include "platform/platform.h"

/* Immutable but for its two counters and the store. Handles and dumps hold references. */
struct procinspect_context {
    atomic_int references;
    atomic_uint dump_count;              /* dumps that are being taken or not yet freed */
    procinspect_context_options options; /* zeros replaced by the defaults; texts are our copies */
    pi_system *system;
    pi_chunk_store *chunks; /* of listings */
    char *spool_directory;  /* a copy, or NULL */
    char **redacted_names;  /* copies, options.redacted_name_count of them */
};

/* A process handle: the platform's hold on the process, and the context whose policy rules. */
struct procinspect_process {
    struct procinspect_context *context;
    pi_process *platform;
};

/* 0, or POLICY with a message that names the setting: may `action` (PROCINSPECT_ACTION_…) be done
 * to this process? Asks user scope, allow bits and the authorize callback, in that order. */
int32_t pi_policy_check(const procinspect_context *context, uint32_t action,
                        const pi_process *process, procinspect_error *error);

/* The last of these questions alone: false where the authorize callback says no. */
int pi_policy_authorizes(const procinspect_context *context, uint32_t action, int32_t pid,
                         uint32_t owner);

/* True where the policy holds this variable's value back. */
int pi_policy_redacts(const procinspect_context *context, const char *name, size_t name_length);

#endif
