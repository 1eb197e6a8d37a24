/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/cancellation.h"
#include "base/error.h"
#include "platform/linux/capture/attempt.h"
#include "platform/linux/capture/by_copy.h"
#include "platform/linux/capture/copy_source.h"
#include "platform/linux/capture/predict.h"
#include "platform/linux/capture/spool_source.h"
#include "platform/linux/capture/state.h"

/* What a hostile target can make us allocate besides the memory it is asked for. */
enum { SNAPSHOT_LIMIT_BYTES = 512 * 1024 * 1024 };

/* Until all threads are seized, beyond the permitted pause, which begins then and has a watchdog of
 * its own. */
#define PREPARATION_LIMIT_NS UINT64_C(2000000000)

/* A helper that was told to stop lets go of what it has stopped, which takes some time, too. */
#define CANCELLATION_LIMIT_NS UINT64_C(2000000000)

/* And has a copy to end. */
#define COPY_END_LIMIT_NS UINT64_C(50000000000)

int32_t pi_capture_exhausted(const pi_arena *arena, procinspect_error *error) {
    if (!pi_arena_limit_reached(arena))
        return pi_error_no_memory(error);
    return pi_error_set(error, PROCINSPECT_ERROR_TOO_LARGE, 0,
                        "The process has more threads, mappings or texts than the %d MiB that the "
                        "library takes for them.",
                        SNAPSHOT_LIMIT_BYTES >> 20);
}

int32_t pi_capture_living_tid(const pi_capture_state *capture) {
    return capture->living.tid != 0 ? capture->living.tid : capture->process->pid;
}

static int64_t now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int32_t describe_system(pi_capture_state *capture, procinspect_error *error) {
    pi_snapshot *snapshot = capture->snapshot;
    struct utsname system;
    uname(&system);
    char version[sizeof system];
    int length = snprintf(version, sizeof version, "%s %s %s %s", system.sysname, system.release,
                          system.version, system.machine);
    snapshot->system_version = pi_arena_copy(capture->arena, version, (size_t)length);
    if (snapshot->system_version == NULL)
        return pi_error_no_memory(error);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    snapshot->processor_count = processors > 0 ? (uint32_t)processors : 1;
    snapshot->architecture = PI_ARCHITECTURE_AMD64;
    pi_capture_cpu_identity(&snapshot->cpu);
    return PROCINSPECT_OK;
}

static int32_t open_root(pi_capture_state *capture, procinspect_error *error) {
    capture->root = openat(capture->files.directory, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return capture->root >= 0 ? PROCINSPECT_OK
                              : pi_process_failed(capture->process, "root", errno, error);
}

static bool is_asked_for(const pi_capture_state *capture, uint32_t type_bit) {
    return (capture->request->type & type_bit) != 0;
}

/* What is known of the threads, and what the type asks for of open descriptors. */
static int32_t read_threads_and_handles(pi_capture_state *capture, procinspect_error *error) {
    int32_t code = pi_known_threads_read(
        capture->process, is_asked_for(capture, PROCINSPECT_DUMP_TYPE_WITH_THREAD_INFO),
        capture->arena, &capture->known, error);
    capture->snapshot->thread_count = capture->known.list.count;
    if (code == PROCINSPECT_OK && is_asked_for(capture, PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA))
        code = pi_capture_handles(capture->process, &capture->files, capture->request->cancellation,
                                  capture->arena, &capture->notes, capture->snapshot, error);
    return code;
}

/* Everything that can be read while the process runs: not a file more is read while it stands. */
static int32_t read_beforehand(pi_capture_state *capture, procinspect_error *error) {
    const pi_process *process = capture->process;
    pi_snapshot *snapshot = capture->snapshot;
    snapshot->pid = process->pid;
    snapshot->report.requested_type = capture->request->type;
    snapshot->report.effective_type =
        capture->request->type | PROCINSPECT_DUMP_TYPE_IGNORE_INACCESSIBLE_MEMORY;
    int32_t code = describe_system(capture, error);
    if (code == PROCINSPECT_OK)
        code = pi_capture_read_texts(process, &capture->files, capture->arena, snapshot->texts,
                                     &capture->notes, error);
    if (code == PROCINSPECT_OK)
        code = open_root(capture, error);
    procinspect_process_info info = {0};
    if (code == PROCINSPECT_OK)
        code =
            pi_process_read(process, PROCINSPECT_PROCESS_START_TIME | PROCINSPECT_PROCESS_CPU_TIME,
                            capture->arena, &info, error);
    if (code == PROCINSPECT_OK)
        code = read_threads_and_handles(capture, error);
    snapshot->process_start_unix_ns = info.start_time_unix_ns;
    snapshot->process_user_cpu_ns = info.user_cpu_time_ns;
    snapshot->process_kernel_cpu_ns = info.kernel_cpu_time_ns;
    if (code == PROCINSPECT_OK)
        code = pi_capture_read_unwanted(capture, error);
    if (code == PROCINSPECT_OK)
        code = pi_capture_judge_size(&capture->files, capture->request, &capture->unwanted,
                                     snapshot, error);
    if (code == PROCINSPECT_OK)
        code = pi_capture_choose_way(capture, error);
    return code;
}

static uint64_t permitted_pause_ns(const pi_capture_request *request) {
    return (uint64_t)request->max_pause_ms * 1000000;
}

/* All was read in time, and then this machine had no processor for letting the threads go. */
static bool note_long_pause(pi_capture_state *capture) {
    const pi_capture_cost *cost = &capture->history->cost;
    uint64_t permitted_ns = permitted_pause_ns(capture->request);
    if (cost->pause_ns <= permitted_ns)
        return true;
    return pi_capture_note(&capture->notes, PROCINSPECT_DUMP_NOTE_PAUSE_EXCEEDED, 0,
                           "The process stood still for %" PRIu64 " us, longer than the permitted "
                           "%" PRIu64 " us: letting its threads go took %" PRIu64 " us of that. "
                           "The machine is busy; the dump is whole.",
                           cost->pause_ns / 1000, permitted_ns / 1000, cost->resume_ns / 1000);
}

/* Of an attempt that came to nothing, too: the process stood still for it. */
static void add_cost(const pi_hold *hold, pi_capture_cost *cost) {
    if (hold->pause_ns == 0)
        return; /* it was not stopped */
    cost->pause_ns += hold->pause_ns;
    cost->stop_ns += hold->stop_ns;
    cost->registers_ns += hold->registers_ns;
    cost->memory_ns += hold->memory_ns;
    cost->copy_ns += hold->copy != NULL ? hold->copy->fork_ns : 0;
    cost->resume_ns += hold->resume_ns;
    cost->restarted_calls += hold->stop.restarted_calls;
}

static void report_cost(const pi_capture_cost *cost, procinspect_dump_report *report) {
    report->restarted_call_count = cost->restarted_calls;
    report->pause_ns = cost->pause_ns;
    report->pause_stop_ns = cost->stop_ns;
    report->pause_registers_ns = cost->registers_ns;
    report->pause_memory_ns = cost->memory_ns;
    report->pause_copy_ns = cost->copy_ns;
    report->pause_resume_ns = cost->resume_ns;
}

static int32_t take_results(pi_capture_state *capture, pi_capture_work **work,
                            pi_helper_staying **staying, procinspect_error *error) {
    const pi_hold *hold = &(*work)->hold;
    pi_snapshot *snapshot = capture->snapshot;
    procinspect_dump_report *report = &snapshot->report;
    const char *maps = pi_arena_copy(capture->arena, hold->maps, hold->maps_length);
    const char *auxv = pi_arena_copy(capture->arena, hold->auxv, hold->auxv_length);
    if (maps == NULL || auxv == NULL)
        return pi_capture_exhausted(capture->arena, error);
    capture->auxv = (pi_bytes){auxv, hold->auxv_length};
    snapshot->texts[PI_TEXT_MAPS] = (pi_bytes){maps, hold->maps_length};
    report_cost(&capture->history->cost, report);
    if (!note_long_pause(capture))
        return pi_capture_exhausted(capture->arena, error);
    int32_t code = pi_capture_threads(capture->process, hold, &capture->known, capture->arena,
                                      &capture->notes, snapshot, error);
    if (code == PROCINSPECT_OK)
        code = pi_capture_memory(work, staying, capture->arena, &capture->notes, snapshot, error);
    return code;
}

static void prepare_hold(const pi_capture_state *capture, pi_hold *hold) {
    const pi_capture_request *request = capture->request;
    hold->pid = capture->process->pid;
    hold->stop.pid = capture->process->pid;
    hold->proc = capture->process->system->proc;
    hold->process_directory = capture->process->directory;
    hold->memory_directory = capture->files.directory;
    hold->memory_tid = pi_capture_living_tid(capture);
    hold->max_pause_ns = permitted_pause_ns(request) - capture->history->cost.pause_ns;
    hold->choice.type = request->type;
    hold->is_live = capture->way == PROCINSPECT_DUMP_WAY_LIVE;
    hold->live_file = -1;
    hold->choice.unwanted = capture->unwanted;
    if (hold->copy == NULL)
        return;
    hold->copy->is_of_host = hold->pid == getpid();
    hold->copy->max_age_ns = (uint64_t)request->max_copy_seconds * 1000000000;
    hold->copy->max_growth_bytes = request->max_copy_growth_bytes;
    hold->copy->record.holds_shared = request->shared_while_stopped;
    hold->copy->record.unwanted = capture->unwanted;
}

/* 0, an error, or PI_CAPTURE_AGAIN. *staying: the helper that looks after the copy, if any. */
static int32_t run_helper(pi_capture_state *capture, pi_capture_work *work,
                          pi_helper_staying **staying, procinspect_error *error) {
    pi_hold *hold = &work->hold;
    pi_helper_job job = {.run = pi_hold_run,
                         .argument = hold,
                         .limit_ns = hold->max_pause_ns + PREPARATION_LIMIT_NS,
                         .stop_limit_ns =
                             hold->copy != NULL ? COPY_END_LIMIT_NS : CANCELLATION_LIMIT_NS,
                         .proc = capture->process->system->proc,
                         .may_trace_host = capture->history->may_be_traced,
                         .cancellation = capture->request->cancellation};
    capture->snapshot->captured_at_unix_ns = now_ns(CLOCK_REALTIME);
    int32_t code = hold->copy != NULL ? pi_helper_run_until_report(&job, staying, error)
                                      : pi_helper_run(&job, error);
    work->is_kept |= job.keeps_memory;
    add_cost(hold, &capture->history->cost);
    if (code == PROCINSPECT_OK)
        code = pi_capture_judge(capture, hold, error);
    /* A helper that was told to stop has ended the copy. */
    if (code == PROCINSPECT_OK && hold->copy != NULL &&
        pi_cancellation_is_requested(capture->request->cancellation))
        code = pi_error_cancelled(error);
    if (code == PROCINSPECT_OK && hold->copy != NULL)
        code = pi_copy_choose(hold, error);
    return code;
}

/* The same, with a writer beside it. */
static int32_t run_helpers(pi_capture_state *capture, pi_capture_work *work,
                           pi_helper_staying **staying, procinspect_error *error) {
    if (work->hold.spool == NULL)
        return run_helper(capture, work, staying, error);
    pi_helper_staying *writer = NULL;
    int32_t code = pi_spool_begin(capture, work, &writer, error);
    if (code == PROCINSPECT_OK)
        code = run_helper(capture, work, staying, error);
    pi_spool_end(work, writer);
    return code;
}

int32_t pi_capture_prepare_work(const pi_capture_state *capture, pi_capture_work **work,
                                procinspect_error *error) {
    const pi_capture_request *request = capture->request;
    bool wants_copy = capture->way == PROCINSPECT_DUMP_WAY_COPY;
    bool wants_spool = capture->way == PROCINSPECT_DUMP_WAY_SPOOL;
    bool is_live = capture->way == PROCINSPECT_DUMP_WAY_LIVE;
    bool is_full = is_asked_for(capture, PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY);
    pi_capture_size size = {.thread_count = capture->known.list.count,
                            .max_data_bytes = request->hold_buffer_bytes,
                            .expected_data_bytes = wants_copy || wants_spool || is_live
                                                       ? 0
                                                       : capture->snapshot->report.memory_bytes,
                            .holds_no_stacks = is_full && (wants_copy || wants_spool),
                            .has_choice = (request->type & PI_CHOICE_TYPES) != 0,
                            .wants_copy = wants_copy,
                            .wants_spool = wants_spool,
                            .is_live = is_live};
    int32_t code = pi_capture_work_new(&size, work, error);
    if (code != PROCINSPECT_OK)
        return code;
    pi_hold *hold = &(*work)->hold;
    prepare_hold(capture, hold);
    (*work)->own[0] = (pi_memory_range){(uintptr_t)(*work)->tables, (*work)->tables_bytes};
    (*work)->own[1] = (pi_memory_range){(uintptr_t)hold->data, (*work)->data_bytes};
    hold->choice.never = (*work)->own;
    hold->choice.never_count = capture->process->pid == getpid() ? 2 : 0;
    return PROCINSPECT_OK;
}

/* Stops, reads, lets go. 0, an error, or PI_CAPTURE_AGAIN. */
static int32_t hold_process(pi_capture_state *capture, procinspect_error *error) {
    if (capture->history->cost.pause_ns >= permitted_pause_ns(capture->request))
        return pi_capture_too_late(capture, error);
    pi_capture_work *work;
    int32_t code = pi_capture_prepare_work(capture, &work, error);
    if (code != PROCINSPECT_OK)
        return code;
    pi_helper_staying *staying = NULL;
    code = run_helpers(capture, work, &staying, error);
    if (code == PROCINSPECT_OK)
        code = take_results(capture, &work, &staying, error);
    if (work != NULL && work->hold.spool != NULL)
        pi_spool_drop(work->hold.spool);
    if (work != NULL)
        pi_close(work->hold.live_file);
    if (work != NULL && work->hold.copy != NULL)
        pi_copy_drop(work, staying);
    else if (work != NULL)
        pi_capture_work_free(work);
    return code;
}

static int32_t finish(pi_capture_state *capture, procinspect_error *error) {
    pi_snapshot *snapshot = capture->snapshot;
    procinspect_dump_report *report = &snapshot->report;
    const pi_modules_captured captured = {.maps = snapshot->texts[PI_TEXT_MAPS],
                                          .auxv = capture->auxv,
                                          .root = capture->root,
                                          .cancellation = capture->request->cancellation};
    int32_t code = pi_capture_modules(capture->process, &capture->living, &capture->files,
                                      &captured, capture->arena, &capture->notes, snapshot, error);
    if (code == PROCINSPECT_OK &&
        is_asked_for(capture, PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY_INFO))
        code = pi_capture_regions(capture->arena, snapshot, error);
    if (code != PROCINSPECT_OK)
        return code;
    report->pid = snapshot->pid;
    report->way = capture->way;
    report->captured_at_unix_ns = snapshot->captured_at_unix_ns;
    return pi_capture_notes_finish(&capture->notes, report)
               ? PROCINSPECT_OK
               : pi_capture_exhausted(capture->arena, error);
}

static int32_t check_access(pi_capture_state *capture, procinspect_error *error) {
    int os_errno;
    int32_t code =
        pi_capture_ask_access(&capture->files, capture->request->cancellation, &os_errno, error);
    return code == PROCINSPECT_OK && os_errno != 0
               ? pi_capture_file_failed(capture, "mem", os_errno, error)
               : code;
}

static int32_t take(pi_capture_state *capture, procinspect_error *error) {
    int32_t code = pi_capture_check_architecture(capture->process, &capture->files,
                                                 pi_capture_living_tid(capture), error);
    bool stops_nothing = capture->request->only_check || capture->request->only_predict;
    if (code == PROCINSPECT_OK && stops_nothing)
        code = check_access(capture, error);
    if (code == PROCINSPECT_OK)
        code = read_beforehand(capture, error);
    if (code != PROCINSPECT_OK || capture->request->only_check)
        return code;
    if (pi_cancellation_is_requested(capture->request->cancellation))
        code = pi_error_cancelled(error);
    if (code == PROCINSPECT_OK)
        code = capture->request->only_predict ? pi_capture_predict(capture, error)
                                              : hold_process(capture, error);
    if (code == PROCINSPECT_OK)
        code = finish(capture, error);
    return code;
}

int32_t pi_capture_attempt(const pi_process *process, const pi_capture_request *request,
                           pi_capture_history *history, pi_snapshot **snapshot,
                           procinspect_error *error) {
    pi_arena *arena = pi_arena_new(sizeof(pi_snapshot), SNAPSHOT_LIMIT_BYTES);
    if (arena == NULL)
        return pi_error_no_memory(error);
    pi_capture_state capture = {.process = process,
                                .files = *process,
                                .root = -1,
                                .request = request,
                                .arena = arena,
                                .snapshot = pi_arena_root(arena),
                                .notes = {.arena = arena},
                                .history = history};
    int32_t code = pi_capture_check_target(process, &history->own_helper, error);
    if (code == PROCINSPECT_OK)
        code = pi_living_turn_process(process, &capture.living, &capture.files, error);
    if (code == PROCINSPECT_OK || code == PI_LIVING_TURNED)
        code = take(&capture, error);
    pi_close(capture.root);
    pi_living_close(process, &capture.files);
    /* It lives, but seemed not to: the main thread was giving way to another, in execve. */
    bool has_vanished = code == PROCINSPECT_ERROR_NOT_FOUND || code == PROCINSPECT_ERROR_GONE ||
                        code == PROCINSPECT_ERROR_REPLACED;
    if (has_vanished) {
        code = pi_living_check(process, error);
        if (code == PROCINSPECT_OK)
            code = PI_CAPTURE_AGAIN;
    }
    if (code == PROCINSPECT_OK && !request->only_check)
        *snapshot = capture.snapshot;
    else
        pi_snapshot_free(capture.snapshot);
    return code;
}
