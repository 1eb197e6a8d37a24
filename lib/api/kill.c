/* SPDX-License-Identifier: MIT */
#include <procinspect/kill.h>

#include <inttypes.h>
#include <pthread.h>

#include "api/context.h"
#include "api/handle.h"
#include "base/error.h"
#include "base/options.h"

enum { DEFAULT_TIMEOUT_MS = 5000 };

#define KNOWN_FLAGS (PROCINSPECT_KILL_INCLUDE_HOST | PROCINSPECT_KILL_ONLY_CHECK)

void procinspect_kill_options_init(procinspect_kill_options *options, size_t struct_size) {
    pi_options_init(options, struct_size);
}

static int32_t check_options(const procinspect_kill_options *options, procinspect_error *error) {
    if ((options->flags & ~(uint32_t)KNOWN_FLAGS) != 0)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "flags has bits 0x%" PRIx32 ", which this version doesn't know.",
                            options->flags & ~(uint32_t)KNOWN_FLAGS);
    if (options->grace_ms > PROCINSPECT_KILL_LONGEST_MS ||
        options->timeout_ms > PROCINSPECT_KILL_LONGEST_MS)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "grace_ms is %" PRIu32 " and timeout_ms %" PRIu32
                            "; neither may exceed %" PRIu32 ".",
                            options->grace_ms, options->timeout_ms, PROCINSPECT_KILL_LONGEST_MS);
    return PROCINSPECT_OK;
}

static int32_t check_policy(const procinspect_process *process, procinspect_error *error) {
    int32_t code =
        pi_policy_check(process->context, PROCINSPECT_ACTION_KILL, process->platform, error);
    if (code == PROCINSPECT_OK && !pi_system_is_live(process->context->system))
        code = pi_error_set(error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
                            "A context with a proc_root of its own can only look; use one without "
                            "proc_root to end processes.");
    return code;
}

static pi_kill_request request_of(const procinspect_process *process,
                                  const procinspect_kill_options *options) {
    bool any_user = process->context->options.user_scope == PROCINSPECT_USER_SCOPE_ALL;
    return (pi_kill_request){
        .user_id = any_user ? PI_ANY_USER : pi_own_user_id(),
        .grace_ms = options->grace_ms,
        .timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : DEFAULT_TIMEOUT_MS,
        .include_host = (options->flags & PROCINSPECT_KILL_INCLUDE_HOST) != 0,
        .only_check = (options->flags & PROCINSPECT_KILL_ONLY_CHECK) != 0,
        .cancellation = options->cancellation,
    };
}

static int32_t kill_and_report(const procinspect_process *process, const pi_kill_request *request,
                               const procinspect_kill_report **report, procinspect_error *error) {
    pi_arena *arena = pi_result_new(sizeof(procinspect_kill_report), error);
    if (arena == NULL)
        return PROCINSPECT_ERROR_NO_MEMORY;
    procinspect_kill_report *filled = pi_arena_root(arena);
    int32_t code = pi_process_kill_tree(process->platform, request, arena, filled, error);
    if (code == PROCINSPECT_OK)
        *report = filled;
    else
        pi_arena_free_root(filled);
    return code;
}

int32_t procinspect_kill_tree(const procinspect_process *process,
                              const procinspect_kill_options *options,
                              const procinspect_kill_report **report, procinspect_error *error) {
    if (process == NULL || report == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_kill_tree: %s is NULL; pass the address of one.",
                            process == NULL ? "process" : "report");
    procinspect_kill_options known;
    int32_t code = pi_options_take(options, &known, sizeof known,
                                   PI_SIZE_THROUGH(procinspect_kill_options, cancellation),
                                   "procinspect_kill_options", error);
    if (code == PROCINSPECT_OK)
        code = check_options(&known, error);
    if (code == PROCINSPECT_OK)
        code = check_policy(process, error);
    if (code != PROCINSPECT_OK)
        return code;
    pi_kill_request request = request_of(process, &known);
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    code = kill_and_report(process, &request, report, error);
    pthread_setcancelstate(cancel_state, NULL);
    return code;
}

void procinspect_kill_report_free(const procinspect_kill_report *report) {
    pi_arena_free_root(report);
}
