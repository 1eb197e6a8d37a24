/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "api/handle.h"
#include "base/error.h"
#include "base/options.h"
#include "base/text.h"
#include "model/environment.h"

void procinspect_environment_query_init(procinspect_environment_query *query, size_t struct_size) {
    pi_options_init(query, struct_size);
}

/* How a block becomes the variables that are handed out. */
typedef struct environment_maker {
    const procinspect_context *context;
    const char *name_contains; /* nullable */
    bool redact;               /* all values */
    pi_arena *arena;
} environment_maker;

/* Texts stay in the block, each with a NUL behind it: the '=' makes room for a name's. */
static void fill_variables(char *block, const pi_environment_entries *entries,
                           procinspect_environment_variable *variables,
                           const procinspect_environment_variable **items) {
    for (size_t i = 0; i < entries->count; i++) {
        const pi_environment_entry entry = entries->items[i];
        block[entry.value - 1 - block] = '\0';
        variables[i] = (procinspect_environment_variable){
            .name = entry.name,
            .value = entry.value,
            .value_bytes = entry.value,
            .value_bytes_length = entry.value_length,
        };
        items[i] = &variables[i];
    }
}

static void redact(const environment_maker *maker, char *block,
                   const pi_environment_entries *entries,
                   procinspect_environment_variable *variables) {
    for (size_t i = 0; i < entries->count; i++) {
        const pi_environment_entry *entry = &entries->items[i];
        if (!maker->redact && !pi_policy_redacts(maker->context, entry->name, entry->name_length))
            continue;
        memset(block + (entry->value - block), 0, entry->value_length);
        variables[i].value = "";
        variables[i].value_bytes = NULL;
        variables[i].value_bytes_length = 0;
        variables[i].is_redacted = 1;
    }
}

/* False: no more memory. */
static bool repair(const environment_maker *maker, const pi_environment_entries *entries,
                   procinspect_environment_variable *variables) {
    for (size_t i = 0; i < entries->count; i++) {
        procinspect_environment_variable *variable = &variables[i];
        variable->name =
            pi_utf8_terminated(maker->arena, variable->name, entries->items[i].name_length);
        variable->value =
            pi_utf8_terminated(maker->arena, variable->value, variable->value_bytes_length);
        if (variable->name == NULL || variable->value == NULL)
            return false;
    }
    return true;
}

/* Keeps those whose name has the part as the process has it, or as it is shown. */
static void drop_unwanted(const environment_maker *maker, const pi_environment_entries *entries,
                          const procinspect_environment_variable **items, size_t *count) {
    const char *part = maker->name_contains;
    size_t part_length = strlen(part), kept = 0;
    for (size_t i = 0; i < *count; i++) {
        const pi_environment_entry *entry = &entries->items[i];
        const char *shown = items[i]->name;
        if (pi_ascii_contains_ignoring_case(entry->name, entry->name_length, part, part_length) ||
            pi_ascii_contains_ignoring_case(shown, strlen(shown), part, part_length))
            items[kept++] = items[i];
    }
    *count = kept;
}

/* The block is in the arena, with a NUL behind it. False: no more memory. */
static bool make_environment(const environment_maker *maker, char *block, size_t length,
                             pi_environment_entries *entries,
                             procinspect_environment *environment) {
    /* Where all of it is UTF-8, each text in it is: they end at ASCII. */
    bool is_valid = pi_utf8_is_valid(block, length);
    if (!pi_environment_split((pi_bytes){block, length}, entries))
        return false;
    procinspect_environment_variable *variables =
        pi_arena_alloc_unset(maker->arena, entries->count * sizeof *variables);
    const procinspect_environment_variable **items =
        pi_arena_alloc_unset(maker->arena, entries->count * sizeof *items);
    if (variables == NULL || items == NULL)
        return false;
    fill_variables(block, entries, variables, items);
    if (maker->redact || maker->context->options.redacted_name_count != 0)
        redact(maker, block, entries, variables);
    if (!is_valid && !repair(maker, entries, variables))
        return false;
    environment->items = items;
    environment->count = entries->count;
    if (maker->name_contains != NULL)
        drop_unwanted(maker, entries, items, &environment->count);
    return true;
}

int32_t pi_environment_build(const procinspect_process *process, const char *name_contains,
                             int redact, pi_arena *arena, procinspect_environment *environment,
                             procinspect_error *error) {
    environment_maker maker = {.context = process->context,
                               .name_contains = name_contains,
                               .redact = redact != 0,
                               .arena = arena};
    pi_bytes block;
    int32_t code = pi_environment_read(process->platform, arena, &block, error);
    if (code != PROCINSPECT_OK)
        return code;
    pi_environment_entries entries = {0};
    /* It was read into our arena, for us alone. */
    bool is_made = make_environment(&maker, (char *)(uintptr_t)block.data, block.length, &entries,
                                    environment);
    pi_environment_entries_free(&entries);
    if (!is_made)
        return pi_result_exhausted(arena, error);
    environment->pid = pi_process_pid(process->platform);
    return PROCINSPECT_OK;
}

int32_t pi_environment_for_listing(void *user, pi_bytes block, pi_arena *arena,
                                   procinspect_process_info *info) {
    pi_listed_environments *listed = user;
    if (!pi_policy_authorizes(listed->context, PROCINSPECT_ACTION_ENVIRONMENT, info->pid,
                              info->user_id))
        return PROCINSPECT_ERROR_POLICY;
    environment_maker maker = {.context = listed->context, .arena = arena};
    char *copy = pi_arena_copy(arena, block.data, block.length); /* first: it may stand there */
    procinspect_environment *environment = pi_arena_alloc(arena, sizeof *environment);
    if (environment == NULL || copy == NULL ||
        !make_environment(&maker, copy, block.length, &listed->entries, environment))
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
