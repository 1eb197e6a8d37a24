/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cancellation.h"
#include "base/error.h"
#include "platform/linux/capture/by_copy.h"
#include "platform/linux/capture/refusal.h"
#include "platform/linux/capture/spool_source.h"
#include "platform/linux/capture/state.h"
#include "platform/linux/living.h"

enum { END_MS = 20 };

/* What the helper's work came to, in the caller's words. */

/* All threads stood. The one that forks counts as one that doesn't when it isn't back in time. */
static int32_t fork_too_late(const pi_capture_state *capture, procinspect_error *error) {
    return pi_error_set(error, PROCINSPECT_ERROR_TIMED_OUT, 0,
                        "The fork of process %d, from which its memory would be copied, was not "
                        "done within the %u ms that it may stand still; it runs on. A fork takes "
                        "long where much memory is in use, or the machine is busy: raise "
                        "max_pause_ms, or ask for a dump type that fits hold_buffer_bytes.",
                        (int)capture->process->pid, (unsigned)capture->request->max_pause_ms);
}

static int32_t too_late(const pi_capture_state *capture, const pi_hold *hold,
                        procinspect_error *error) {
    uint32_t running = hold->stop.running, late = 0;
    if (hold->copy != NULL && hold->copy->failed == PI_FORK_TOO_LATE)
        return fork_too_late(capture, error);
    for (uint32_t i = 0; i < hold->stop.count; i++)
        late += hold->stop.threads[i].state == PI_STOP_SEIZED;
    /* Nothing else was left to wait for, whatever the limit. */
    if (running != 0 && late == 0 && hold->stop.standing == 0)
        return pi_error_set(error, PROCINSPECT_ERROR_TIMED_OUT, 0,
                            "%u of the %u threads of process %d sleep in the kernel where nothing "
                            "can stop them (state D: storage that doesn't answer, a vfork whose "
                            "child has yet to run its program, or a frozen cgroup), and didn't "
                            "come out of it in %u ms; it runs on. Try again when that is over.",
                            (unsigned)running, (unsigned)hold->stop.count,
                            (int)capture->process->pid, (unsigned)(hold->stop_ns / 1000000));
    if (late != 0)
        return pi_error_set(error, PROCINSPECT_ERROR_TIMED_OUT, 0,
                            "%u of the %u threads of process %d could not be stopped within %u ms; "
                            "it runs on. Look "
                            "what keeps them (state D: storage, a vfork, or a frozen cgroup; R: no "
                            "processor), or "
                            "raise max_pause_ms.",
                            (unsigned)(late + running), (unsigned)hold->stop.count,
                            (int)capture->process->pid, (unsigned)capture->request->max_pause_ms);
    return pi_capture_too_late(capture, error);
}

int32_t pi_capture_too_late(const pi_capture_state *capture, procinspect_error *error) {
    return pi_error_set(
        error, PROCINSPECT_ERROR_TIMED_OUT, 0,
        "Taking the memory of process %d would have stopped it for longer than %u ms; "
        "it runs on. Raise max_pause_ms.",
        (int)capture->process->pid, (unsigned)capture->request->max_pause_ms);
}

static int32_t refused_thread(pi_capture_state *capture, int32_t tid, int os_errno,
                              procinspect_error *error) {
    return pi_capture_refused(capture->process, tid, os_errno, &capture->history->own_helper,
                              error);
}

int32_t pi_capture_file_failed(pi_capture_state *capture, const char *file, int os_errno,
                               procinspect_error *error) {
    if (os_errno == ENOENT || os_errno == ESRCH)
        return PI_CAPTURE_AGAIN; /* the thread whose file it was has ended */
    if (os_errno == EACCES || os_errno == EPERM)
        return refused_thread(capture, pi_capture_living_tid(capture), os_errno, error);
    return pi_process_failed(capture->process, file, os_errno, error);
}

static int32_t refused(pi_capture_state *capture, const pi_hold *hold, procinspect_error *error) {
    bool is_own = capture->process->pid == getpid();
    int scope = pi_yama_scope(capture->process->system);
    /* Only where Yama asks for it: whom the host had named as its tracer before is forgotten. */
    if (is_own && !capture->history->may_be_traced &&
        (scope == 1 || scope == PI_YAMA_SCOPE_UNKNOWN)) {
        capture->history->may_be_traced = true;
        return PI_CAPTURE_AGAIN;
    }
    if (hold->stop.refused_tracer_pid != 0)
        return pi_capture_traced(capture->process, hold->stop.refused_tracer_pid,
                                 &capture->history->own_helper, error);
    return refused_thread(capture, hold->stop.refused_tid, hold->stop.refused_errno, error);
}

/* The kernel's answer to fork, or to opening the copy's files. */
static int32_t fork_refused(int32_t pid, int cause, procinspect_error *error) {
    if (cause == EMFILE || cause == ENFILE)
        return pi_error_set(error, PROCINSPECT_ERROR_NO_RESOURCES, cause,
                            "No file descriptor is left for the copy of process %d; it runs on. "
                            "Raise RLIMIT_NOFILE of the host process.",
                            (int)pid);
    if (cause == EAGAIN || cause == ENOMEM)
        return pi_error_set(
            error, cause == EAGAIN ? PROCINSPECT_ERROR_NO_RESOURCES : PROCINSPECT_ERROR_NO_MEMORY,
            cause,
            "No copy of process %d could be made (fork: %s); it runs on. Raise %s; or raise the "
            "host's hold_buffer_bytes, or name a spool_directory, to have its memory read while it "
            "stands.",
            (int)pid, strerror(cause),
            cause == EAGAIN ? "RLIMIT_NPROC of its user or pids.max of its cgroup"
                            : "the memory limit of its cgroup or vm.overcommit_memory");
    return pi_error_set(error, pi_error_code_of_errno(cause), cause,
                        "No copy of process %d could be made (fork: %s); it runs on. Raise "
                        "hold_buffer_bytes, or name a spool_directory, to have its memory read "
                        "while it stands.",
                        (int)pid, strerror(cause));
}

const char *pi_capture_no_fork_reason(int result) {
    switch ((pi_fork_result)result) {
    case PI_FORK_SECCOMP:
        return "it has a seccomp filter, which only a host with CAP_SYS_ADMIN can suspend";
    case PI_FORK_USER_DISPATCH:
        return "it has its own system calls sent back to it (syscall user dispatch)";
    case PI_FORK_SHADOW_STACK:
        return "it has a shadow stack";
    case PI_FORK_USERFAULTFD:
        return "a userfaultfd of it waits for news of forks, from a thread that would stand still";
    case PI_FORK_PID_NAMESPACE:
        return "its children are made in another pid namespace than its own";
    case PI_FORK_NO_GADGETS:
        return "its code has no place from which a thread could call the kernel and come back";
    default:
        return "none of its threads stands where it can call the kernel";
    }
}

/* Where it may be written to a directory instead, that is tried. */
static bool turn_to_spool(pi_capture_state *capture, const pi_copy *copy) {
    pi_capture_history *history = capture->history;
    bool is_refused = copy->failed == PI_FORK_REFUSED;
    if (capture->request->way != PROCINSPECT_DUMP_WAY_AUTO ||
        capture->request->spool_directory == NULL)
        return false;
    snprintf(history->no_copy, sizeof history->no_copy, "%s%s", is_refused ? "fork: " : "",
             is_refused ? strerror(copy->failed_errno) : pi_capture_no_fork_reason(copy->failed));
    history->needs_spool = true;
    return true;
}

/* One that was killed meanwhile has no thread that stands either, and its fork fails for no cause;
 * its end takes a moment. */
static int32_t check_lives(const pi_process *process, const pi_copy *copy,
                           procinspect_error *error) {
    bool may_have_ended = copy->failed == PI_FORK_NO_THREAD ||
                          (copy->failed == PI_FORK_REFUSED && copy->failed_errno == 0);
    if (!may_have_ended)
        return PROCINSPECT_OK;
    poll(NULL, 0, END_MS);
    return pi_living_check(process, error);
}

static int32_t not_copied(pi_capture_state *capture, const pi_copy *copy,
                          procinspect_error *error) {
    int32_t pid = capture->process->pid;
    int32_t lives = check_lives(capture->process, copy, error);
    if (lives != PROCINSPECT_OK)
        return lives;
    if (turn_to_spool(capture, copy))
        return PI_CAPTURE_AGAIN;
    if (copy->failed == PI_FORK_REFUSED)
        return fork_refused(pid, copy->failed_errno, error);
    int32_t code = copy->failed == PI_FORK_SECCOMP ? PROCINSPECT_ERROR_PERMISSION
                                                   : PROCINSPECT_ERROR_UNSUPPORTED;
    return pi_error_set(error, code, 0,
                        "Process %d can't be copied: %s. It runs on; raise hold_buffer_bytes, or "
                        "name a spool_directory, to have its memory read while it stands.",
                        (int)pid, pi_capture_no_fork_reason(copy->failed));
}

/* Than the one whose texts were read. */
static bool is_another_program(const pi_capture_state *capture, const pi_hold *hold) {
    const pi_bytes *auxv = &capture->snapshot->texts[PI_TEXT_AUXILIARY_VECTOR];
    return auxv->data != NULL &&
           (auxv->length != hold->auxv_length || memcmp(auxv->data, hold->auxv, auxv->length) != 0);
}

int32_t pi_capture_judge(pi_capture_state *capture, const pi_hold *hold, procinspect_error *error) {
    switch (hold->result) {
    case PI_HOLD_DONE:
        return is_another_program(capture, hold) ? PI_CAPTURE_AGAIN : PROCINSPECT_OK;
    case PI_HOLD_REFUSED:
        return refused(capture, hold, error);
    case PI_HOLD_GONE:
        return PI_CAPTURE_AGAIN; /* the next attempt says whether it has, or is about to run another
                                    program */
    case PI_HOLD_TOO_LATE:
        return too_late(capture, hold, error);
    case PI_HOLD_FILE_FAILED:
        return pi_capture_file_failed(capture, hold->failed_file, hold->failed_errno, error);
    case PI_HOLD_MAPS_LARGE:
        return pi_error_set(
            error, PROCINSPECT_ERROR_TOO_LARGE, 0,
            "The list of mappings of process %d is longer than %zu MiB, more than the "
            "library takes.",
            (int)capture->process->pid, hold->maps_capacity >> 20);
    case PI_HOLD_NOT_COPIED:
        return is_another_program(capture, hold) ? PI_CAPTURE_AGAIN
                                                 : not_copied(capture, hold->copy, error);
    case PI_HOLD_MEMORY_LARGE:
        if (capture->request->way == PROCINSPECT_DUMP_WAY_AUTO) {
            capture->history->needs_copy = true;
            return PI_CAPTURE_AGAIN;
        }
        return pi_capture_too_large(capture->process, capture->request, hold->choice.total_bytes,
                                    "It runs on.", error);
    case PI_HOLD_NOT_SPOOLED:
        return pi_spool_failed(hold->spool, "It runs on.", error);
    case PI_HOLD_NOT_DONE:
        break;
    }
    return pi_error_cancelled(error);
}
