/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "platform/platform.h"

/* Ending trees on machines where the helper process is not written: see meson.build. */

int32_t pi_process_kill_tree(const pi_process *process, const pi_kill_request *request,
                             pi_arena *arena, procinspect_kill_report *report,
                             procinspect_error *error) {
    (void)process;
    (void)request;
    (void)arena;
    (void)report;
    return pi_error_set(
        error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
        "This build ends no trees of processes: on Linux that is written for x86-64.");
}
