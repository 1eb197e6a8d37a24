/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "platform/linux/process_reader.h"

static int32_t open_failed(pi_process_reader *reader, int32_t pid, int os_errno) {
    int32_t code = pi_error_code_of_errno(os_errno);
    if (code == PROCINSPECT_ERROR_NO_RESOURCES || code == PROCINSPECT_ERROR_NO_MEMORY)
        return pi_error_set(reader->error, code, os_errno,
                            "Opening the directory of process %d failed: %s. Close descriptors or "
                            "raise the host's limit.",
                            (int)pid, strerrordesc_np(os_errno));
    return PI_PROCESS_ENDED;
}

/* Holds the directory meanwhile, so that all of it is of one process. */
static int32_t read_by_directory(pi_process_reader *reader, uint64_t user_id,
                                 procinspect_process_info *info) {
    char path[PI_NUMBER_PATH_SIZE];
    pi_proc_number_path(path, info->pid, "");
    pi_process_files files = {.directory = openat(reader->system->proc, path,
                                                  O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (files.directory < 0)
        return open_failed(reader, info->pid, errno);
    struct stat status;
    int32_t code = PI_PROCESS_ENDED;
    if (user_id == PI_ANY_USER ||
        (fstat(files.directory, &status) == 0 && status.st_uid == user_id))
        code = pi_process_reader_read(reader, &files, info);
    pi_close(files.directory);
    return code;
}

static bool is_of_user(const pi_system *system, int32_t pid, uint64_t user_id) {
    if (user_id == PI_ANY_USER)
        return true;
    char path[PI_NUMBER_PATH_SIZE];
    pi_proc_number_path(path, pid, "");
    struct stat status;
    return fstatat(system->proc, path, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           status.st_uid == user_id;
}

/* Asks for each file anew by the process's number. */
static int32_t read_by_number(pi_process_reader *reader, uint64_t user_id,
                              procinspect_process_info *info) {
    pi_process_files files = {.directory = reader->system->proc};
    files.prefix_length = pi_proc_number_path(files.prefix, info->pid, "/");
    return is_of_user(reader->system, info->pid, user_id)
               ? pi_process_reader_read(reader, &files, info)
               : PI_PROCESS_ENDED;
}

/*
 * Reading by number takes two calls less for each process, but the number can get another owner
 * between two files. Not where who has it at the end was started before the listing began: then it
 * was his all the time.
 */
static int32_t read_one(pi_process_reader *reader, uint64_t user_id, uint64_t begin_ticks,
                        procinspect_process_info *info) {
    bool has_start = (reader->members & PI_STAT_MEMBERS) != 0;
    bool is_one_file = (reader->members & ~PI_STAT_MEMBERS) == 0 && user_id == PI_ANY_USER;
    if (has_start) {
        int32_t code = read_by_number(reader, user_id, info);
        if (code != 0 || is_one_file || reader->start_ticks < begin_ticks)
            return code;
        *info = (procinspect_process_info){.pid = info->pid};
    }
    return read_by_directory(reader, user_id, info);
}

static int32_t exhausted(const pi_process_reader *reader) {
    if (!pi_arena_limit_reached(reader->arena))
        return pi_error_no_memory(reader->error);
    return pi_error_set(reader->error, PROCINSPECT_ERROR_TOO_LARGE, 0,
                        "There are more processes than a listing takes; ask for fewer members.");
}

/* What of the arena one of so many processes may use up for what it makes as long as it likes; what
 * it has besides is short. */
static size_t share_of_one(const pi_arena *arena, size_t process_count) {
    enum { SHORT_PARTS = 2560 };
    size_t part = pi_arena_remaining(arena) / process_count;
    return part > SHORT_PARTS ? part - SHORT_PARTS : 0;
}

/* Has the processor fetch where a process's answers go while the kernel is asked for them: in a
 * long list they are spread over more memory than a cache holds. As much as the last one took. */
static void prefetch_answers(const pi_arena *arena, size_t last_size) {
    enum { LARGEST = 8 * 1024 };
    pi_arena_prefetch(arena, last_size < LARGEST ? last_size : LARGEST);
}

static int32_t read_all(pi_process_reader *reader, uint64_t user_id, uint64_t begin_ticks,
                        const pi_numbers *pids, procinspect_process_list *list) {
    const procinspect_process_info **items =
        pi_arena_alloc_array(reader->arena, pids->count, sizeof *items);
    if (items == NULL)
        return exhausted(reader);
    size_t count = 0;
    procinspect_process_info *info = NULL;
    size_t last_size = 0;
    for (size_t i = 0; i < pids->count; i++) {
        if (pids->items[i] == 0)
            continue;
        if (info == NULL)
            info = pi_arena_alloc(reader->arena, sizeof *info);
        if (info == NULL)
            return exhausted(reader);
        info->pid = pids->items[i];
        prefetch_answers(reader->arena, last_size);
        size_t left = pi_arena_remaining(reader->arena);
        reader->share = share_of_one(reader->arena, pids->count - i);
        int32_t code = read_one(reader, user_id, begin_ticks, info);
        if (code < 0)
            return code;
        if (code == PI_PROCESS_ENDED) {
            memset(info, 0, sizeof *info);
            continue;
        }
        items[count++] = info;
        info = NULL;
        last_size = left - pi_arena_remaining(reader->arena);
    }
    *list = (procinspect_process_list){.items = items, .count = count};
    return PROCINSPECT_OK;
}

static int32_t read_pids(const pi_system *system, pi_numbers *pids, procinspect_error *error) {
    int result = pi_proc_read_numbers(system->proc, ".", INT32_MAX, pids);
    if (result == 0)
        return PROCINSPECT_OK;
    if (result == -ENOMEM)
        return pi_error_no_memory(error);
    int32_t code = pi_error_code_of_errno(-result);
    if (code != PROCINSPECT_ERROR_NO_RESOURCES)
        code = PROCINSPECT_ERROR_IO;
    return pi_error_set(error, code, -result, "Listing the directory of processes failed: %s.%s",
                        strerrordesc_np(-result),
                        code == PROCINSPECT_ERROR_NO_RESOURCES
                            ? " Close descriptors or raise the host's limit."
                            : "");
}

int32_t pi_processes_read(const pi_system *system, uint64_t members, uint64_t user_id,
                          const pi_environment_maker *environment_maker, pi_arena *arena,
                          procinspect_process_list *list, procinspect_error *error) {
    uint64_t begin_ticks = pi_ticks_now(system);
    pi_numbers pids;
    int32_t code = read_pids(system, &pids, error);
    if (code != PROCINSPECT_OK)
        return code;
    pi_process_reader reader = {.system = system,
                                .arena = arena,
                                .members = members,
                                .environment_maker = environment_maker,
                                .error = error};
    code = read_all(&reader, user_id, begin_ticks, &pids, list);
    pi_process_reader_end(&reader);
    free(pids.items);
    return code;
}

/* The children of a process among these; ascending, as the pids are. */
static int32_t collect_children(const pi_process *process, const pi_numbers *pids,
                                int32_t *children, size_t *count, procinspect_error *error) {
    *count = 0;
    for (size_t i = 0; i < pids->count; i++) {
        char path[32];
        pi_stat_text text;
        pi_stat stat;
        snprintf(path, sizeof path, "%d/stat", (int)pids->items[i]);
        int result = pi_stat_read(process->system->proc, path, &text, &stat);
        int32_t code = pi_error_code_of_errno(-result);
        if (code == PROCINSPECT_ERROR_NO_RESOURCES || code == PROCINSPECT_ERROR_NO_MEMORY)
            return pi_process_failed(process, "stat", -result, error);
        if (result == 0 && stat.parent_pid == process->pid)
            children[(*count)++] = pids->items[i];
    }
    /* They were found by the number of their parent, which has to be this process's still. */
    return pi_process_check(process, error);
}

static int32_t read_children(const pi_process *process, pi_arena *arena,
                             procinspect_process_info *info, procinspect_error *error) {
    pi_numbers pids;
    int32_t code = read_pids(process->system, &pids, error);
    if (code != PROCINSPECT_OK)
        return code;
    size_t count;
    int32_t *children = pids.items; /* kept in place: a child is never before its own number */
    code = collect_children(process, &pids, children, &count, error);
    if (code == PROCINSPECT_OK) {
        void *copy = pi_arena_alloc_array(arena, count, sizeof *children);
        if (copy == NULL) {
            code = pi_error_no_memory(error);
        } else if (count != 0) {
            memcpy(copy, children, count * sizeof *children);
        }
        info->child_pids = copy;
        info->child_count = count;
        info->known |= PROCINSPECT_PROCESS_CHILDREN;
    }
    free(pids.items);
    return code;
}

int32_t pi_process_read(const pi_process *process, uint64_t members, pi_arena *arena,
                        procinspect_process_info *info, procinspect_error *error) {
    pi_process_reader reader = {.system = process->system,
                                .arena = arena,
                                .members = members,
                                .share = SIZE_MAX,
                                .error = error};
    pi_process_files files = {.directory = process->directory};
    info->pid = process->pid;
    int32_t code = pi_process_check(process, error);
    if (code == PROCINSPECT_OK)
        code = pi_process_reader_read(&reader, &files, info);
    if (code == PI_PROCESS_ENDED) {
        code = pi_process_check_memory(process, error);
        if (code == PROCINSPECT_OK) /* it was there again */
            code = pi_process_failed(process, "stat", ESRCH, error);
    }
    pi_process_reader_end(&reader);
    if (code == PROCINSPECT_OK && (members & PROCINSPECT_PROCESS_CHILDREN) != 0)
        code = read_children(process, arena, info, error);
    return code;
}
