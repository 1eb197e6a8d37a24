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

/* Where the result is made of a block: texts that need no repair stay where they are in it. */
typedef struct environment_maker {
    const procinspect_context *context;
    const char *name_contains; /* nullable */
    int redact;
    pi_arena *arena;
} environment_maker;

/* The text at this place of the block, terminated; what stands behind it has been read. */
static const char *text_of(pi_arena *arena, char *bytes, size_t length) {
    if (!pi_utf8_is_text(bytes, length))
        return pi_utf8_repair(arena, bytes, length);
    bytes[length] = '\0';
    return bytes;
}

/* `name` and `value` are the entry's, where the block may be written. */
static bool make_variable(const environment_maker *maker, const pi_environment_entry *entry,
                          char *name, char *value, procinspect_environment_variable *made) {
    bool is_redacted =
        maker->redact || pi_policy_redacts(maker->context, entry->name, entry->name_length);
    made->name = text_of(maker->arena, name, entry->name_length);
    made->is_redacted = is_redacted;
    if (is_redacted) {
        memset(value, 0, entry->value_length);
        made->value = "";
        return made->name != NULL;
    }
    made->value = text_of(maker->arena, value, entry->value_length);
    made->value_bytes = value;
    made->value_bytes_length = entry->value_length;
    return made->name != NULL && made->value != NULL;
}

/* The entries that the filter lets through, as handed-out variables; false: no more memory. */
static bool take_entries(const environment_maker *maker, char *block,
                         const pi_environment_entry *entries, size_t entry_count,
                         procinspect_environment *environment) {
    const procinspect_environment_variable **items =
        pi_arena_alloc_array(maker->arena, entry_count, sizeof *items);
    procinspect_environment_variable *variables =
        pi_arena_alloc_array(maker->arena, entry_count, sizeof *variables);
    if (items == NULL || variables == NULL)
        return false;
    size_t wanted_length = maker->name_contains != NULL ? strlen(maker->name_contains) : 0;
    size_t count = 0;
    for (size_t i = 0; i < entry_count; i++) {
        const pi_environment_entry *entry = &entries[i];
        if (!pi_ascii_contains_ignoring_case(entry->name, entry->name_length, maker->name_contains,
                                             wanted_length))
            continue;
        if (!make_variable(maker, entry, block + (entry->name - block),
                           block + (entry->value - block), &variables[count]))
            return false;
        items[count] = &variables[count];
        count++;
    }
    environment->items = items;
    environment->count = count;
    return true;
}

/* The block is in the arena, with a NUL behind it. False: no more memory. */
static bool make_environment(const environment_maker *maker, char *block, size_t length,
                             procinspect_environment *environment) {
    pi_environment_entry *entries;
    size_t count;
    if (!pi_environment_split((pi_bytes){block, length}, &entries, &count))
        return false;
    bool is_made = take_entries(maker, block, entries, count, environment);
    free(entries);
    return is_made;
}

int32_t pi_environment_build(const procinspect_process *process, const char *name_contains,
                             int redact, pi_arena *arena, procinspect_environment *environment,
                             procinspect_error *error) {
    environment_maker maker = {process->context, name_contains, redact, arena};
    pi_bytes block;
    int32_t code = pi_environment_read(process->platform, arena, &block, error);
    if (code != PROCINSPECT_OK)
        return code;
    /* It was read into our arena, for us alone. */
    if (!make_environment(&maker, (char *)(uintptr_t)block.data, block.length, environment))
        return pi_result_exhausted(arena, error);
    environment->pid = pi_process_pid(process->platform);
    return PROCINSPECT_OK;
}

int32_t pi_environment_for_listing(void *user, pi_bytes block, pi_arena *arena,
                                   procinspect_process_info *info) {
    const procinspect_context *context = user;
    if (!pi_policy_authorizes(context, PROCINSPECT_ACTION_ENVIRONMENT, info->pid, info->user_id))
        return PROCINSPECT_ERROR_POLICY;
    environment_maker maker = {.context = context, .arena = arena};
    procinspect_environment *environment = pi_arena_alloc(arena, sizeof *environment);
    char *copy = pi_arena_copy(arena, block.data, block.length);
    if (environment == NULL || copy == NULL ||
        !make_environment(&maker, copy, block.length, environment))
        return PROCINSPECT_ERROR_NO_MEMORY;
    environment->pid = info->pid;
    info->environment = environment;
    return PROCINSPECT_OK;
}

int32_t procinspect_environment_read(const procinspect_process *process,
                                     const procinspect_environment_query *query,
                                     const procinspect_environment **environment,
                                     procinspect_error *error) {
    if (process == NULL || environment == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_environment_read: process or environment is NULL.");
    procinspect_environment_query known;
    int32_t code = pi_options_take(query, &known, sizeof known,
                                   PI_SIZE_THROUGH(procinspect_environment_query, name_contains),
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
