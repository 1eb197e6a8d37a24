/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "platform/linux/linux.h"
#include "platform/linux/wait_reason.h"

enum { MAX_THREADS = 1000000 };

/* The threads of one process while they are read. */
typedef struct thread_scan {
    const pi_process *process;
    int task; /* its directory of threads */
    uint64_t members;
    pi_arena *arena;
    procinspect_error *error;
} thread_scan;

/* Neither success nor a failure of the call. */
enum { THREAD_ENDED = 1 };

static int32_t exhausted(const thread_scan *scan) {
    if (!pi_arena_limit_reached(scan->arena))
        return pi_error_no_memory(scan->error);
    return pi_error_set(
        scan->error, PROCINSPECT_ERROR_TOO_LARGE, 0,
        "Process %d has more threads than a listing takes; ask for one by its tid, or "
        "for fewer members.",
        (int)scan->process->pid);
}

static void take_stat(const thread_scan *scan, const pi_stat *stat, procinspect_thread_info *info) {
    uint64_t members = scan->members;
    const pi_system *system = scan->process->system;
    if ((members & PROCINSPECT_THREAD_STATE) != 0)
        info->os_state = (unsigned char)stat->state;
    if ((members & PROCINSPECT_THREAD_PRIORITY) != 0) {
        info->priority = stat->priority;
        info->nice = stat->nice;
        info->realtime_priority = stat->realtime_priority;
        info->scheduling_policy = stat->scheduling_policy;
    }
    if ((members & PROCINSPECT_THREAD_START_TIME) != 0)
        info->start_time_unix_ns = pi_ticks_to_unix_ns(system, stat->start_ticks);
    if ((members & PROCINSPECT_THREAD_CPU_TIME) != 0) {
        info->user_cpu_time_ns = pi_ticks_to_ns(system, stat->user_ticks);
        info->kernel_cpu_time_ns = pi_ticks_to_ns(system, stat->kernel_ticks);
    }
    info->known = members & PROCINSPECT_THREAD_BASIC;
}

static int32_t take_name(const thread_scan *scan, const pi_stat *stat,
                         procinspect_thread_info *info) {
    if ((scan->members & PROCINSPECT_THREAD_NAME) == 0)
        return 0;
    info->name = pi_utf8_repair(scan->arena, stat->name, stat->name_length);
    return info->name == NULL ? exhausted(scan) : 0;
}

static int32_t take_wait_reason(const thread_scan *scan, char state,
                                procinspect_thread_info *info) {
    if ((scan->members & PROCINSPECT_THREAD_WAIT_REASON) == 0)
        return 0;
    char path[32], text[256];
    ssize_t length = 0;
    if (pi_state_is_sleep(state)) {
        snprintf(path, sizeof path, "%d/syscall", (int)info->tid);
        length = pi_proc_read_once(scan->task, path, text, sizeof text);
        int32_t code = length < 0 ? pi_error_code_of_errno(errno) : 0;
        if (code == PROCINSPECT_ERROR_NO_RESOURCES || code == PROCINSPECT_ERROR_NO_MEMORY)
            return pi_process_failed(scan->process, path, errno, scan->error);
    }
    info->wait_reason = pi_wait_reason(state, text, length > 0 ? (size_t)length : 0);
    info->known |= PROCINSPECT_THREAD_WAIT_REASON;
    return 0;
}

static int32_t add_unavailable(const thread_scan *scan, int os_errno,
                               procinspect_thread_info *info) {
    procinspect_error reason;
    pi_process_failed(scan->process, "task/TID/stat", os_errno, &reason);
    procinspect_unavailable *added = pi_arena_alloc(scan->arena, sizeof *added);
    const procinspect_unavailable **items = pi_arena_alloc(scan->arena, sizeof *items);
    char *text = pi_arena_copy(scan->arena, reason.message, strlen(reason.message));
    if (added == NULL || items == NULL || text == NULL)
        return exhausted(scan);
    *added = (procinspect_unavailable){scan->members, reason.code, os_errno, text};
    items[0] = added;
    info->unavailable = items;
    info->unavailable_count = 1;
    return 0;
}

/* Fills info, whose tid is set. */
static int32_t read_thread(const thread_scan *scan, procinspect_thread_info *info) {
    char path[PI_NUMBER_PATH_SIZE];
    pi_stat_text text;
    pi_stat stat;
    info->pid = scan->process->pid;
    pi_proc_number_path(path, info->tid, "/stat");
    int result = pi_stat_read(scan->task, path, &text, &stat);
    if (result == -ENOENT || result == -ESRCH)
        return THREAD_ENDED;
    int32_t code = pi_error_code_of_errno(-result);
    if (code == PROCINSPECT_ERROR_NO_RESOURCES || code == PROCINSPECT_ERROR_NO_MEMORY)
        return pi_process_failed(scan->process, "task/TID/stat", -result, scan->error);
    if (result != 0)
        return add_unavailable(scan, -result, info);
    take_stat(scan, &stat, info);
    code = take_name(scan, &stat, info);
    return code != 0 ? code : take_wait_reason(scan, stat.state, info);
}

static int32_t read_all(const thread_scan *scan, const pi_numbers *tids,
                        procinspect_thread_list *list) {
    const procinspect_thread_info **items =
        pi_arena_alloc_array(scan->arena, tids->count, sizeof *items);
    if (items == NULL)
        return exhausted(scan);
    size_t count = 0;
    procinspect_thread_info *info = NULL;
    for (size_t i = 0; i < tids->count; i++) {
        if (info == NULL)
            info = pi_arena_alloc(scan->arena, sizeof *info);
        if (info == NULL)
            return exhausted(scan);
        info->tid = tids->items[i];
        int32_t code = read_thread(scan, info);
        if (code < 0)
            return code;
        if (code == THREAD_ENDED)
            continue;
        items[count++] = info;
        info = NULL;
    }
    /* Those that ended meanwhile may have ended with the process. */
    bool is_whole = count != 0 && count == tids->count;
    int32_t code = is_whole ? PROCINSPECT_OK : pi_process_check(scan->process, scan->error);
    if (code == PROCINSPECT_OK)
        *list = (procinspect_thread_list){items, count, scan->process->pid};
    return code;
}

static int32_t read_tids(const thread_scan *scan, pi_numbers *tids) {
    int result = pi_proc_read_numbers(scan->task, ".", MAX_THREADS, tids);
    if (result == -E2BIG)
        return pi_error_set(
            scan->error, PROCINSPECT_ERROR_TOO_LARGE, 0,
            "Process %d has more than %d threads, the most that a listing takes; ask "
            "for one by its tid.",
            (int)scan->process->pid, MAX_THREADS);
    return result == 0 ? PROCINSPECT_OK
                       : pi_process_failed(scan->process, "task", -result, scan->error);
}

static int32_t read_single(const thread_scan *scan, int32_t tid, procinspect_thread_list *list) {
    pi_numbers tids = {.items = &tid, .count = 1};
    procinspect_thread_list found;
    int32_t code = read_all(scan, &tids, &found);
    if (code == PROCINSPECT_OK && found.count == 0)
        return pi_error_set(scan->error, PROCINSPECT_ERROR_NOT_FOUND, 0,
                            "Process %d has no thread %d; list its threads again.",
                            (int)scan->process->pid, (int)tid);
    if (code == PROCINSPECT_OK)
        *list = found;
    return code;
}

int32_t pi_threads_read(const pi_process *process, int32_t tid, uint64_t members, pi_arena *arena,
                        procinspect_thread_list *list, procinspect_error *error) {
    thread_scan scan = {.process = process, .members = members, .arena = arena, .error = error};
    scan.task = openat(process->directory, "task", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (scan.task < 0)
        return pi_process_failed(process, "task", errno, error);
    int32_t code;
    if (tid != 0) {
        code = read_single(&scan, tid, list);
    } else {
        pi_numbers tids = {0};
        code = read_tids(&scan, &tids);
        if (code == PROCINSPECT_OK)
            code = read_all(&scan, &tids, list);
        free(tids.items);
    }
    pi_close(scan.task);
    return code;
}
