/* SPDX-License-Identifier: MIT */
#include "api/context.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "base/text.h"

enum {
    DEFAULT_MAX_CONCURRENT_DUMPS = 4,
    DEFAULT_HOLD_BUFFER_BYTES = 64 * 1024 * 1024,
    DEFAULT_MAX_PAUSE_MS = 5000,
    DEFAULT_MAX_COPY_SECONDS = 3600,
    /* A host's list of names is short; a count beyond this is a mistake, not a list. */
    MAX_REDACTED_NAMES = 10000
};

#define DEFAULT_MAX_COPY_GROWTH_BYTES (UINT64_C(4) << 30)

void procinspect_context_options_init(procinspect_context_options *options, size_t struct_size) {
    pi_options_init(options, struct_size);
}

/* A '*' inside would be taken for a wildcard by who wrote it, and redact nothing. */
static int32_t check_redacted_names(const procinspect_context_options *options,
                                    procinspect_error *error) {
    for (size_t i = 0; i < options->redacted_name_count; i++) {
        const char *name = options->redacted_names[i];
        if (name == NULL)
            return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                                "procinspect_context_options: redacted_names[%zu] is NULL.", i);
        const char *inner = name[0] != '\0' ? strchr(name + 1, '*') : NULL;
        if (inner != NULL && inner[1] != '\0') {
            char shown[128];
            pi_utf8_repair_into(shown, sizeof shown, name, strlen(name));
            return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                                "procinspect_context_options: redacted_names[%zu] is '%s'; use * "
                                "at the start or end of a name only.",
                                i, shown);
        }
    }
    return PROCINSPECT_OK;
}

static int32_t check(const procinspect_context_options *options, procinspect_error *error) {
    const uint32_t known_allow =
        PROCINSPECT_ALLOW_ENVIRONMENT | PROCINSPECT_ALLOW_DUMP | PROCINSPECT_ALLOW_KILL;
    if ((options->allow & ~known_allow) != 0)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_context_options: allow has unknown bits (0x%x); use "
                            "PROCINSPECT_ALLOW_… values.",
                            (unsigned)(options->allow & ~known_allow));
    if (options->user_scope > PROCINSPECT_USER_SCOPE_ALL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_context_options: user_scope %u is none of "
                            "PROCINSPECT_USER_SCOPE_….",
                            (unsigned)options->user_scope);
    if (options->reserved != 0 || options->reserved2 != 0)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_context_options: reserved and reserved2 must be 0.");
    if (options->redacted_name_count > MAX_REDACTED_NAMES ||
        (options->redacted_name_count != 0 && options->redacted_names == NULL))
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_context_options: redacted_names must have "
                            "redacted_name_count names, at most %d.",
                            MAX_REDACTED_NAMES);
    if (options->spool_directory != NULL &&
        (options->spool_directory[0] != '/' || strlen(options->spool_directory) >= PATH_MAX))
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_context_options: spool_directory must be an absolute "
                            "path of less than %d bytes.",
                            PATH_MAX);
    return check_redacted_names(options, error);
}

static void set_defaults(procinspect_context_options *options) {
    if (options->max_concurrent_dumps == 0)
        options->max_concurrent_dumps = DEFAULT_MAX_CONCURRENT_DUMPS;
    if (options->hold_buffer_bytes == 0)
        options->hold_buffer_bytes = DEFAULT_HOLD_BUFFER_BYTES;
    if (options->max_pause_ms == 0)
        options->max_pause_ms = DEFAULT_MAX_PAUSE_MS;
    if (options->max_copy_seconds == 0)
        options->max_copy_seconds = DEFAULT_MAX_COPY_SECONDS;
    if (options->max_copy_growth_bytes == 0)
        options->max_copy_growth_bytes = DEFAULT_MAX_COPY_GROWTH_BYTES;
}

static int32_t copy_redacted_names(procinspect_context *context, procinspect_error *error) {
    size_t count = context->options.redacted_name_count;
    if (count == 0)
        return PROCINSPECT_OK;
    context->redacted_names = calloc(count, sizeof(char *));
    if (context->redacted_names == NULL)
        return pi_error_no_memory(error);
    for (size_t i = 0; i < count; i++) {
        context->redacted_names[i] = strdup(context->options.redacted_names[i]);
        if (context->redacted_names[i] == NULL)
            return pi_error_no_memory(error);
    }
    return PROCINSPECT_OK;
}

static int32_t copy_spool_directory(procinspect_context *context, procinspect_error *error) {
    if (context->options.spool_directory == NULL)
        return PROCINSPECT_OK;
    context->spool_directory = strdup(context->options.spool_directory);
    return context->spool_directory != NULL ? PROCINSPECT_OK : pi_error_no_memory(error);
}

int32_t procinspect_context_new(const procinspect_context_options *options,
                                procinspect_context **context, procinspect_error *error) {
    if (context == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_context_new: context is NULL.");
    procinspect_context *made = calloc(1, sizeof *made);
    if (made == NULL)
        return pi_error_no_memory(error);
    atomic_init(&made->references, 1);
    int32_t code = pi_options_take(options, &made->options, sizeof made->options,
                                   PI_SIZE_THROUGH(procinspect_context_options, authorize_user),
                                   "procinspect_context_options", error);
    if (code == PROCINSPECT_OK)
        code = check(&made->options, error);
    if (code == PROCINSPECT_OK)
        code = copy_redacted_names(made, error);
    if (code == PROCINSPECT_OK)
        code = copy_spool_directory(made, error);
    made->chunks = pi_chunk_store_new();
    if (code == PROCINSPECT_OK && made->chunks == NULL)
        code = pi_error_no_memory(error);
    if (code == PROCINSPECT_OK)
        code = pi_system_open(made->options.proc_root, &made->system, error);
    if (code != PROCINSPECT_OK) {
        procinspect_context_free(made);
        return code;
    }
    set_defaults(&made->options);
    /* The caller's texts were copied, or are not needed any more. */
    made->options.proc_root = NULL;
    made->options.redacted_names = NULL;
    made->options.spool_directory = NULL;
    *context = made;
    return PROCINSPECT_OK;
}

procinspect_context *procinspect_context_retain(const procinspect_context *context) {
    if (context == NULL)
        return NULL;
    /* Callers see the context as const; what changes is its count of references alone. */
    procinspect_context *counted = (procinspect_context *)(uintptr_t)context;
    atomic_fetch_add(&counted->references, 1);
    return counted;
}

void procinspect_context_free(procinspect_context *context) {
    if (context == NULL || atomic_fetch_sub(&context->references, 1) != 1)
        return;
    pi_system_close(context->system);
    pi_chunk_store_release(context->chunks);
    for (size_t i = 0; context->redacted_names != NULL && i < context->options.redacted_name_count;
         i++)
        free(context->redacted_names[i]);
    free(context->redacted_names);
    free(context->spool_directory);
    free(context);
}
