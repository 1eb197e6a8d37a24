/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "platform/linux/capture/fork.h"
#include "platform/linux/capture/refusal.h"
#include "platform/linux/capture/state.h"

/* Which way a capture goes, and why. */

enum { REASON_BYTES = 384 };

/* What can be told of that while it runs; the rest is found when it stands. Its other threads might
 * have no filter, but as a rule those of a process are alike. */
static const char *why_no_copy(const pi_capture_state *capture) {
    const pi_bytes *status = &capture->snapshot->texts[PI_TEXT_STATUS];
    pi_refusal_facts facts = {0};
    if (capture->history->needs_spool)
        return capture->history->no_copy;
    /* The own process forks itself. */
    if (status->data == NULL || capture->process->pid == pi_own_pid() ||
        !pi_refusal_read_own(capture->process->system, &facts))
        return NULL;
    pi_refusal_parse_target(status->data, status->length, &facts);
    return facts.target_is_filtered && !facts.own_may_suspend_filters
               ? pi_capture_no_fork_reason(PI_FORK_SECCOMP)
               : NULL;
}

__attribute__((format(printf, 3, 4))) static int32_t
take_way(pi_capture_state *capture, uint32_t way, const char *format, ...) {
    char reason[REASON_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    capture->way = way;
    capture->snapshot->report.way_reason = pi_arena_copy(capture->arena, reason, strlen(reason));
    return capture->snapshot->report.way_reason != NULL ? PROCINSPECT_OK
                                                        : PROCINSPECT_ERROR_NO_MEMORY;
}

static int32_t no_directory(procinspect_error *error) {
    return pi_error_set(error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
                        "The context names no spool_directory to write the process's memory into; "
                        "name one. The process was not stopped.");
}

static int32_t choose(pi_capture_state *capture, procinspect_error *error) {
    const pi_capture_request *request = capture->request;
    uint64_t memory_bytes = capture->snapshot->report.memory_bytes;
    bool is_large = capture->history->needs_copy || memory_bytes > request->hold_buffer_bytes;
    if (request->way == PROCINSPECT_DUMP_WAY_HOLD && is_large)
        return pi_capture_too_large(capture->process, request, memory_bytes,
                                    "The process was not stopped.", error);
    if (request->way == PROCINSPECT_DUMP_WAY_SPOOL && request->spool_directory == NULL)
        return no_directory(error);
    if (request->way != PROCINSPECT_DUMP_WAY_AUTO)
        return take_way(capture, request->way, "It was asked for.");
    if (!is_large)
        return take_way(capture, PROCINSPECT_DUMP_WAY_HOLD,
                        "What the type takes besides stacks, %" PRIu64
                        " bytes right before the stop, fits hold_buffer_bytes, %" PRIu64 ".",
                        memory_bytes, request->hold_buffer_bytes);
    const char *no_copy = request->spool_directory == NULL ? NULL : why_no_copy(capture);
    if (no_copy != NULL)
        return take_way(capture, PROCINSPECT_DUMP_WAY_SPOOL,
                        "What the type takes, %" PRIu64
                        " bytes right before the stop, is more than hold_buffer_bytes, %" PRIu64
                        ", and the process can't be copied: %s.",
                        memory_bytes, request->hold_buffer_bytes, no_copy);
    return take_way(capture, PROCINSPECT_DUMP_WAY_COPY,
                    "What the type takes, %" PRIu64
                    " bytes right before the stop, is more than hold_buffer_bytes, %" PRIu64 ".",
                    memory_bytes, request->hold_buffer_bytes);
}

int32_t pi_capture_choose_way(pi_capture_state *capture, procinspect_error *error) {
    int32_t code = choose(capture, error);
    return code == PROCINSPECT_ERROR_NO_MEMORY ? pi_capture_exhausted(capture->arena, error) : code;
}
