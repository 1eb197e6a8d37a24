/* SPDX-License-Identifier: MIT */
#include "api/dump_redaction.h"

#include <string.h>

#include "api/handle.h"
#include "base/error.h"

/* More may have been cut (pi_environment_read), by a variable that the kernel lets be so long. */
enum { LARGEST_BLOCK = (4 * 1024 - 128) * 1024 };

static bool is_redacted(const pi_dump_redaction *redaction, const procinspect_context *context,
                        const pi_environment_entry *entry) {
    return redaction->has_all || pi_policy_redacts(context, entry->name, entry->name_length) != 0;
}

/* *count: how many variables of the block are. */
static int32_t add_block(const pi_dump_redaction *redaction, const procinspect_context *context,
                         pi_bytes block, size_t *count, procinspect_error *error) {
    pi_environment_entry entry;
    *count = 0;
    while (pi_environment_next(&block, &entry)) {
        if (!is_redacted(redaction, context, &entry))
            continue;
        if (!pi_redaction_add(redaction->values, entry.name, entry.name_length, entry.value,
                              entry.value_length))
            return pi_error_no_memory(error);
        ++*count;
    }
    return PROCINSPECT_OK;
}

static int32_t add_environment(const pi_dump_redaction *redaction,
                               const procinspect_process *process, size_t *count,
                               procinspect_error *error) {
    pi_arena *arena = pi_result_new(0, error);
    if (arena == NULL)
        return PROCINSPECT_ERROR_NO_MEMORY;
    pi_bytes block;
    int32_t code = pi_environment_read(process->platform, arena, &block, error);
    if (code == PROCINSPECT_OK && block.length > LARGEST_BLOCK)
        code = pi_error_set(error, PROCINSPECT_ERROR_TOO_LARGE, 0,
                            "The process's environment is too large (%zu bytes) for its values to "
                            "be taken out of a dump surely; take it without redaction.",
                            block.length);
    if (code == PROCINSPECT_OK)
        code = add_block(redaction, process->context, block, count, error);
    pi_arena_free_root(pi_arena_root(arena));
    return code;
}

/* The capture tells of a process that has ended before it better than we do; of one that has since
 * then the values are known. */
static bool is_left_to_others(int32_t code) {
    return code == PROCINSPECT_ERROR_GONE || code == PROCINSPECT_ERROR_REPLACED ||
           code == PROCINSPECT_ERROR_NOT_FOUND;
}

static int32_t read_environment(const pi_dump_redaction *redaction,
                                const procinspect_process *process, size_t *count,
                                procinspect_error *error) {
    procinspect_error failure;
    int32_t code = add_environment(redaction, process, count, &failure);
    if (code == PROCINSPECT_OK || is_left_to_others(code))
        return PROCINSPECT_OK;
    if (error != NULL)
        *error = failure;
    return code;
}

/* Those that the process may have set by itself: only names that are written out can be looked for.
 */
static int32_t add_names(const pi_dump_redaction *redaction, const procinspect_context *context,
                         procinspect_error *error) {
    for (size_t i = 0; i < context->options.redacted_name_count; i++) {
        const char *name = context->redacted_names[i];
        if (strchr(name, '*') == NULL &&
            !pi_redaction_add(redaction->values, name, strlen(name), NULL, 0))
            return pi_error_no_memory(error);
    }
    return PROCINSPECT_OK;
}

int32_t pi_dump_redaction_begin(pi_dump_redaction *redaction, const procinspect_process *process,
                                bool has_all, procinspect_error *error) {
    *redaction = (pi_dump_redaction){.has_all = has_all};
    if (!has_all && process->context->options.redacted_name_count == 0)
        return PROCINSPECT_OK;
    redaction->values = pi_redaction_new();
    if (redaction->values == NULL)
        return pi_error_no_memory(error);
    int32_t code = add_names(redaction, process->context, error);
    return code == PROCINSPECT_OK
               ? read_environment(redaction, process, &redaction->variable_count, error)
               : code;
}

int32_t pi_dump_redaction_finish(pi_dump_redaction *redaction, const procinspect_process *process,
                                 pi_bytes dumped, procinspect_error *error) {
    if (redaction->values == NULL)
        return PROCINSPECT_OK;
    size_t unused;
    int32_t code = add_block(redaction, process->context, dumped, &unused, error);
    return code == PROCINSPECT_OK ? read_environment(redaction, process, &unused, error) : code;
}
