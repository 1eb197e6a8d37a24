/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "platform/linux/living.h"

enum {
    MAX_OPEN_FILES = 1048576,
    LONGEST_NAME = 4096 /* a page: the kernel gives no more, and refuses what doesn't fit */
};

typedef struct open_file_scan {
    const pi_process *process;
    int directory; /* of its descriptors */
    pi_arena *arena;
    procinspect_error *error;
    bool is_whole; /* each descriptor that was listed could be read, and there were any */
} open_file_scan;

static int32_t exhausted(const open_file_scan *scan) {
    if (!pi_arena_limit_reached(scan->arena))
        return pi_error_no_memory(scan->error);
    return pi_error_set(
        scan->error, PROCINSPECT_ERROR_TOO_LARGE, 0,
        "Process %d has more open files than this call's memory limit takes; ask for "
        "PROCINSPECT_PROCESS_OPEN_FILE_COUNT instead.",
        (int)scan->process->pid);
}

static bool starts_with(const char *name, size_t length, const char *prefix) {
    size_t prefix_length = strlen(prefix);
    return length >= prefix_length && memcmp(name, prefix, prefix_length) == 0;
}

/* Paths start with a slash, or with what the kernel writes before one that leads out of the root.
 */
static uint32_t kind_of(const char *name, size_t length) {
    if (starts_with(name, length, "/") || starts_with(name, length, "(unreachable)/"))
        return PROCINSPECT_OPEN_FILE_PATH;
    if (starts_with(name, length, "socket:["))
        return PROCINSPECT_OPEN_FILE_SOCKET;
    if (starts_with(name, length, "pipe:["))
        return PROCINSPECT_OPEN_FILE_PIPE;
    return PROCINSPECT_OPEN_FILE_OTHER;
}

static const procinspect_open_file *make_file(pi_arena *arena, int32_t descriptor, uint32_t kind,
                                              const char *name, size_t length) {
    procinspect_open_file *made = pi_arena_alloc(arena, sizeof *made);
    if (made == NULL)
        return NULL;
    made->descriptor = descriptor;
    made->kind = kind;
    made->name = pi_utf8_repair(arena, name, length);
    made->name_bytes = pi_arena_copy(arena, name, length);
    made->name_bytes_length = length;
    return made->name != NULL && made->name_bytes != NULL ? made : NULL;
}

/* *file stays NULL where the descriptor was closed meanwhile. */
static int32_t read_file(const open_file_scan *scan, int32_t descriptor,
                         const procinspect_open_file **file) {
    char path[16], name[LONGEST_NAME];
    snprintf(path, sizeof path, "%d", (int)descriptor);
    ssize_t length = readlinkat(scan->directory, path, name, sizeof name);
    uint32_t kind = PROCINSPECT_OPEN_FILE_PATH;
    if (length >= 0)
        kind = kind_of(name, (size_t)length);
    else if (errno == ENAMETOOLONG) /* only paths get so long */
        length = 0;
    else if (errno == ENOENT)
        return PROCINSPECT_OK;
    else
        return pi_process_failed(scan->process, "fd", errno, scan->error);
    *file = make_file(scan->arena, descriptor, kind, name, (size_t)length);
    return *file == NULL ? exhausted(scan) : PROCINSPECT_OK;
}

static int32_t read_all(open_file_scan *scan, const pi_numbers *descriptors,
                        procinspect_open_file_list *list) {
    const procinspect_open_file **items =
        pi_arena_alloc_array(scan->arena, descriptors->count, sizeof *items);
    if (items == NULL)
        return exhausted(scan);
    size_t count = 0;
    for (size_t i = 0; i < descriptors->count; i++) {
        int32_t code = read_file(scan, descriptors->items[i], &items[count]);
        if (code != PROCINSPECT_OK)
            return code;
        count += items[count] != NULL;
    }
    /* None is what the directory of a process that has ended holds, too, and those that went
     * meanwhile may have gone with it. */
    scan->is_whole = count != 0 && count == descriptors->count;
    int32_t code = scan->is_whole ? PROCINSPECT_OK : pi_process_check(scan->process, scan->error);
    if (code == PROCINSPECT_OK)
        *list = (procinspect_open_file_list){items, count, scan->process->pid};
    return code;
}

static int32_t read_descriptors(const open_file_scan *scan, pi_numbers *descriptors) {
    int result = pi_proc_read_numbers(scan->directory, ".", MAX_OPEN_FILES, descriptors);
    if (result == -E2BIG)
        return pi_error_set(
            scan->error, PROCINSPECT_ERROR_TOO_LARGE, 0,
            "Process %d has more than %d open files, the most that a listing takes; "
            "ask for PROCINSPECT_PROCESS_OPEN_FILE_COUNT instead.",
            (int)scan->process->pid, MAX_OPEN_FILES);
    return result == 0 ? PROCINSPECT_OK
                       : pi_process_failed(scan->process, "fd", -result, scan->error);
}

/* The descriptors' directory can't be opened. A process that has ended has nothing open, which the
 * kernel shows to root alone. */
static int32_t check_failure(const pi_process *process, int os_errno,
                             procinspect_open_file_list *list, procinspect_error *error) {
    pi_stat_text text;
    pi_stat stat;
    if ((os_errno == EACCES || os_errno == EPERM) &&
        pi_process_stat(process, &text, &stat, NULL) == PROCINSPECT_OK && pi_stat_is_dead(&stat)) {
        int32_t code = pi_process_check_memory(process, error);
        if (code != PROCINSPECT_OK)
            return code;
        *list = (procinspect_open_file_list){.pid = process->pid};
        return PROCINSPECT_OK;
    }
    return pi_process_failed(process, "fd", os_errno, error);
}

static int32_t read_below(open_file_scan *scan, int directory, procinspect_open_file_list *list) {
    scan->is_whole = false;
    scan->directory = openat(directory, "fd", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (scan->directory < 0)
        return check_failure(scan->process, errno, list, scan->error);
    pi_numbers descriptors = {0};
    int32_t code = read_descriptors(scan, &descriptors);
    if (code == PROCINSPECT_OK)
        code = read_all(scan, &descriptors, list);
    free(descriptors.items);
    pi_close(scan->directory);
    return code;
}

int32_t pi_open_files_read(const pi_process *process, pi_arena *arena,
                           procinspect_open_file_list *list, procinspect_error *error) {
    open_file_scan scan = {.process = process, .arena = arena, .error = error};
    procinspect_open_file_list found;
    pi_living living = {0};
    pi_process files = *process;
    int32_t code, turned;
    do {
        code = read_below(&scan, files.directory, &found);
        turned = scan.is_whole || !pi_living_may_help(code)
                     ? PI_LIVING_STANDS
                     : pi_living_turn_process(process, &living, &files, error);
    } while (turned == PI_LIVING_TURNED);
    pi_living_close(process, &files);
    if (turned != PI_LIVING_STANDS)
        return turned;
    if (code == PROCINSPECT_OK)
        *list = found;
    return code;
}
