/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "platform/linux/capture/attempt.h"
#include "platform/linux/capture/choice.h"
#include "platform/linux/capture/parts.h"
#include "platform/linux/capture/refusal.h"
#include "platform/linux/trace/host_tracer.h"

/* A program that replaces itself (execve) while it is captured is captured anew, this often. */
enum { MAX_ATTEMPTS = 5 };

/* How long a process that is traced, by another host's dump for all we know, is tried again. */
#define HELD_BY_ANOTHER_LIMIT_NS INT64_C(100000000)
enum { LONGEST_WAIT_MS = 32, LEAST_REFUSALS = 4 };

uint32_t pi_capture_types(void) {
    return PI_CHOICE_TYPES | PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA |
           PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY_INFO | PROCINSPECT_DUMP_TYPE_WITH_THREAD_INFO |
           PROCINSPECT_DUMP_TYPE_IGNORE_INACCESSIBLE_MEMORY;
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* What seems to run another program may be about to end instead, which takes a process with many
 * threads, or a busy machine, a while. */
static void wait_before(const pi_process *process, int vanished) {
    static const int waits_ms[MAX_ATTEMPTS] = {0, 0, 2, 10, 50};
    struct pollfd ended = {process->pidfd, POLLIN, 0};
    poll(&ended, 1, waits_ms[vanished]);
}

static int32_t check_request(const pi_process *process, const pi_capture_request *request,
                             procinspect_error *error) {
    if (!pi_system_is_live(process->system))
        return pi_error_set(
            error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
            "Only processes of the running system can be stopped, not those below a "
            "proc_root.");
    if ((request->type & ~pi_capture_types()) != 0)
        return pi_error_set(error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
                            "Dump type 0x%x has bits that this version doesn't support: 0x%x. It "
                            "has 0x%x.",
                            (unsigned)request->type,
                            (unsigned)(request->type & ~pi_capture_types()),
                            (unsigned)pi_capture_types());
    if (request->way > PROCINSPECT_DUMP_WAY_LIVE)
        return pi_error_set(error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
                            "Way %u of taking a dump is not supported by this version.",
                            (unsigned)request->way);
    return PROCINSPECT_OK;
}

/*
 * Another dump of the process holds it for a moment, and is waited for. That one may have left by
 * the time that we look who it was: then the refusal looks like one for good. And to a thread that
 * was ending, or whose process is in execve, nobody has rights for a moment.
 */
static bool is_held_by_another(pi_capture_history *history, int32_t code) {
    history->was_traced |= code == PROCINSPECT_ERROR_TRACED;
    return code == PROCINSPECT_ERROR_TRACED || code == PROCINSPECT_ERROR_PERMISSION;
}

static int32_t attempt_until_done(const pi_process *process, const pi_capture_request *request,
                                  pi_snapshot **snapshot, procinspect_error *error) {
    int32_t code;
    pi_capture_history history = {0};
    int64_t begin_ns = now_ns();
    int64_t own_deadline_ns = begin_ns + (int64_t)request->max_pause_ms * 1000000;
    procinspect_error failure; /* the caller's is touched by a failure only */
    int attempts = 0, refusals = 0, wait_ms = 1;
    while (attempts < MAX_ATTEMPTS) {
        wait_before(process, attempts);
        history.own_helper = 0;
        code = pi_capture_attempt(process, request, &history, snapshot, &failure);
        int64_t now = now_ns();
        if (code == PI_CAPTURE_AGAIN) {
            attempts++;
        } else if (!is_held_by_another(&history, code)) {
            break;
        } else if (now >= own_deadline_ns ||
                   !pi_wait_for_own_helper(process->system, history.own_helper, own_deadline_ns,
                                           request->cancellation)) {
            /* On a busy machine few fit into that time, and each may meet an execve. */
            if (now - begin_ns >= HELD_BY_ANOTHER_LIMIT_NS && ++refusals >= LEAST_REFUSALS)
                break;
            poll(NULL, 0, wait_ms);
            wait_ms = wait_ms < LONGEST_WAIT_MS ? wait_ms * 2 : wait_ms;
        }
    }
    if (attempts == MAX_ATTEMPTS)
        return pi_error_set(error, PROCINSPECT_ERROR_IO, 0,
                            "Process %d ran another program (execve) each of the %d times that it "
                            "was captured; try again.",
                            (int)process->pid, MAX_ATTEMPTS);
    if (code == PROCINSPECT_ERROR_PERMISSION && history.was_traced)
        return pi_error_set(error, PROCINSPECT_ERROR_TRACED, EPERM,
                            "Another dump of process %d is being taken, or one after the other; a "
                            "process can have one tracer only. Try again.",
                            (int)process->pid);
    if (code != PROCINSPECT_OK && error != NULL)
        *error = failure;
    return code;
}

int32_t pi_capture(const pi_process *process, const pi_capture_request *request,
                   pi_snapshot **snapshot, procinspect_error *error) {
    bool is_own = process->pid == getpid();
    int32_t code = check_request(process, request, error);
    if (code == PROCINSPECT_OK)
        code = pi_capture_check_zombie(process, error);
    if (code == PROCINSPECT_OK && is_own)
        code = pi_host_tracer_take_turn(request->cancellation, error);
    if (code != PROCINSPECT_OK)
        return code;
    code = attempt_until_done(process, request, snapshot, error);
    if (is_own)
        pi_host_tracer_end_turn();
    return code;
}
