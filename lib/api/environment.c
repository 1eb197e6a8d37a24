/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "api/handle.h"
#include "base/error.h"
#include "base/options.h"
#include "base/text.h"
#include "model/environment.h"

void procinspect_environment_query_init(procinspect_environment_query *query, size_t struct_size) {
    pi_options_init(query, struct_size);
}

static procinspect_environment_variable *
make_variable(pi_arena *arena, const pi_environment_entry *entry, int redacted) {
    procinspect_environment_variable *made = pi_arena_alloc(arena, sizeof *made);
    if (made == NULL)
        return NULL;
    made->name = pi_utf8_repair(arena, entry->name, entry->name_length);
    made->is_redacted = redacted != 0;
    if (redacted) {
        made->value = "";
        return made->name != NULL ? made : NULL;
    }
    made->value = pi_utf8_repair(arena, entry->value, entry->value_length);
    made->value_bytes = pi_arena_copy(arena, entry->value, entry->value_length);
    made->value_bytes_length = entry->value_length;
    return made->name != NULL && made->value != NULL && made->value_bytes != NULL ? made : NULL;
}

/* The entries that the filter lets through, as handed-out variables. */
static int32_t take_entries(const procinspect_process *process, const char *name_contains,
                            int redact, pi_arena *arena, const pi_environment_entry *entries,
                            size_t entry_count, procinspect_environment *environment,
                            procinspect_error *error) {
    const procinspect_environment_variable **items =
        pi_arena_alloc_array(arena, entry_count, sizeof *items);
    if (items == NULL)
        return pi_result_exhausted(arena, error);
    size_t wanted_length = name_contains != NULL ? strlen(name_contains) : 0;
    size_t count = 0;
    for (size_t i = 0; i < entry_count; i++) {
        const pi_environment_entry *entry = &entries[i];
        if (!pi_ascii_contains_ignoring_case(entry->name, entry->name_length, name_contains,
                                             wanted_length))
            continue;
        int redacted =
            redact || pi_policy_redacts(process->context, entry->name, entry->name_length);
        items[count] = make_variable(arena, entry, redacted);
        if (items[count++] == NULL)
            return pi_result_exhausted(arena, error);
    }
    environment->items = items;
    environment->count = count;
    environment->pid = pi_process_pid(process->platform);
    return PROCINSPECT_OK;
}

int32_t pi_environment_build(const procinspect_process *process, const char *name_contains,
                             int redact, pi_arena *arena, procinspect_environment *environment,
                             procinspect_error *error) {
    pi_bytes block;
    int32_t code = pi_environment_read(process->platform, arena, &block, error);
    if (code != PROCINSPECT_OK)
        return code;
    pi_environment_entry *entries;
    size_t count;
    if (!pi_environment_split(block, &entries, &count))
        return pi_error_no_memory(error);
    code = take_entries(process, name_contains, redact, arena, entries, count, environment, error);
    free(entries);
    return code;
}

int32_t procinspect_environment_read(const procinspect_process *process,
                                     const procinspect_environment_query *query,
                                     const procinspect_environment **environment,
                                     procinspect_error *error) {
    if (process == NULL || environment == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_environment_read: process or environment is NULL.");
    procinspect_environment_query known;
    int32_t code = pi_options_take(query, &known, sizeof known, sizeof known,
                                   "procinspect_environment_query", error);
    if (code == PROCINSPECT_OK &&
        (known.flags & ~(uint32_t)PROCINSPECT_ENVIRONMENT_QUERY_REDACT) != 0)
        code = pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_environment_query: flags 0x%x are unknown.",
                            (unsigned)known.flags);
    if (code == PROCINSPECT_OK)
        code = pi_policy_check(process->context, PROCINSPECT_ACTION_ENVIRONMENT, process->platform,
                               error);
    if (code != PROCINSPECT_OK)
        return code;
    pi_arena *arena = pi_result_new(sizeof(procinspect_environment), error);
    if (arena == NULL)
        return PROCINSPECT_ERROR_NO_MEMORY;
    procinspect_environment *made = pi_arena_root(arena);
    code = pi_environment_build(process, known.name_contains,
                                (known.flags & PROCINSPECT_ENVIRONMENT_QUERY_REDACT) != 0, arena,
                                made, error);
    if (code != PROCINSPECT_OK) {
        pi_arena_free_root(made);
        return code;
    }
    *environment = made;
    return PROCINSPECT_OK;
}

void procinspect_environment_free(const procinspect_environment *environment) {
    pi_arena_free_root(environment);
}
