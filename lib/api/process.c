/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "api/context.h"
#include "base/error.h"

int32_t procinspect_process_open(const procinspect_context *context, int32_t pid,
                                 procinspect_process **process, procinspect_error *error) {
    if (context == NULL || process == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_process_open: context or process is NULL.");
    if (pid < 0)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_process_open: pid %d is negative; use 0 for the calling "
                            "process.",
                            (int)pid);
    if (pid == 0 && !pi_system_is_live(context->system))
        return pi_error_set(error, PROCINSPECT_ERROR_NOT_FOUND, 0,
                            "The calling process isn't below this context's proc_root, so 0 names "
                            "no process there; name one by its id.");
    procinspect_process *made = calloc(1, sizeof *made);
    if (made == NULL)
        return pi_error_no_memory(error);
    made->context = procinspect_context_retain(context);
    int32_t code =
        pi_process_open(context->system, pid == 0 ? pi_own_pid() : pid, &made->platform, error);
    if (code == PROCINSPECT_OK)
        code = pi_policy_check(context, PROCINSPECT_ACTION_LOOK, made->platform, error);
    if (code != PROCINSPECT_OK) {
        procinspect_process_free(made);
        return code;
    }
    *process = made;
    return PROCINSPECT_OK;
}

void procinspect_process_free(procinspect_process *process) {
    if (process == NULL)
        return;
    pi_process_close(process->platform);
    procinspect_context_free(process->context);
    free(process);
}

int32_t procinspect_process_pid(const procinspect_process *process) {
    return process != NULL ? pi_process_pid(process->platform) : 0;
}

int32_t procinspect_process_check(const procinspect_process *process, procinspect_error *error) {
    if (process == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_process_check: process is NULL.");
    return pi_process_check(process->platform, error);
}
