/* SPDX-License-Identifier: MIT */
#include "api/handle.h"
#include "base/error.h"
#include "base/options.h"

/* What is asked of one process only. */
#define PARTS                                                                                      \
    (PROCINSPECT_PROCESS_CHILDREN | PROCINSPECT_PROCESS_THREADS | PROCINSPECT_PROCESS_MODULES |    \
     PROCINSPECT_PROCESS_OPEN_FILES | PROCINSPECT_PROCESS_WEB_JOB)

void procinspect_process_query_init(procinspect_process_query *query, size_t struct_size) {
    pi_options_init(query, struct_size);
}

static int32_t check(const procinspect_context *context, const procinspect_process_query *query,
                     procinspect_error *error) {
    int all_users = (query->flags & PROCINSPECT_PROCESS_QUERY_ALL_USERS) != 0;
    if ((query->flags & ~(uint32_t)PROCINSPECT_PROCESS_QUERY_ALL_USERS) != 0)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_process_query: flags 0x%x are unknown.",
                            (unsigned)query->flags);
    if (all_users && context->options.user_scope != PROCINSPECT_USER_SCOPE_ALL)
        return pi_error_set(error, PROCINSPECT_ERROR_POLICY, 0,
                            "The host's policy refuses processes of other users; ask for the "
                            "host's own user's, or have the host set "
                            "PROCINSPECT_USER_SCOPE_ALL in its context.");
    if ((query->members & PROCINSPECT_PROCESS_ENVIRONMENT) != 0 &&
        (context->options.allow & PROCINSPECT_ALLOW_ENVIRONMENT) == 0)
        return pi_error_set(error, PROCINSPECT_ERROR_POLICY, 0,
                            "The host's policy refuses reading environments: the host has to allow "
                            "it (PROCINSPECT_ALLOW_ENVIRONMENT in its context).");
    return pi_members_check(query->members, PROCINSPECT_PROCESS_EVERYTHING & ~PARTS, error);
}

int32_t procinspect_process_list_read(const procinspect_context *context,
                                      const procinspect_process_query *query,
                                      const procinspect_process_list **list,
                                      procinspect_error *error) {
    if (context == NULL || list == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_process_list_read: context or list is NULL.");
    procinspect_process_query known;
    int32_t code = pi_options_take(query, &known, sizeof known,
                                   PI_SIZE_THROUGH(procinspect_process_query, members),
                                   "procinspect_process_query", error);
    if (code == PROCINSPECT_OK)
        code = check(context, &known, error);
    if (code != PROCINSPECT_OK)
        return code;
    pi_arena *arena = pi_result_new(sizeof(procinspect_process_list), error);
    if (arena == NULL)
        return PROCINSPECT_ERROR_NO_MEMORY;
    pi_arena_use_store(arena, context->chunks);
    uint64_t members = known.members != 0 ? known.members : PROCINSPECT_PROCESS_BASIC;
    int all_users = (known.flags & PROCINSPECT_PROCESS_QUERY_ALL_USERS) != 0;
    uint64_t user_id = all_users ? PI_ANY_USER : pi_own_user_id();
    procinspect_process_list *made = pi_arena_root(arena);
    /* The authorize callback is told the owner. */
    if ((members & PROCINSPECT_PROCESS_ENVIRONMENT) != 0 && context->options.authorize != NULL)
        members |= PROCINSPECT_PROCESS_USER_ID;
    pi_listed_environments environments = {.context = context};
    pi_environment_maker maker = {pi_environment_for_listing, &environments};
    code = pi_processes_read(context->system, members, user_id, &maker, arena, made, error);
    pi_environment_entries_free(&environments.entries);
    if (code != PROCINSPECT_OK) {
        pi_arena_free_root(made);
        return code;
    }
    *list = made;
    return PROCINSPECT_OK;
}

void procinspect_process_list_free(const procinspect_process_list *list) {
    pi_arena_free_root(list);
}
