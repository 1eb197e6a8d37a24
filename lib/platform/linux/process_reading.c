/* SPDX-License-Identifier: MIT */
#include "platform/linux/process_reading.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "platform/linux/capture/refusal.h"
#include "platform/linux/program_start.h"

static void write_path(char *path, const pi_process_files *files, const char *name) {
    /* All of the prefix's room, which takes two moves; as many bytes as it is long take a call. */
    memcpy(path, files->prefix, sizeof files->prefix);
    strcpy(path + files->prefix_length, name);
}

pi_file_path pi_reading_path(const pi_process_files *files, const char *name) {
    pi_file_path path;
    write_path(path.text, files, name);
    return path;
}

int pi_reading_stat(const pi_process_reading *reading, pi_stat_text *text, pi_stat *stat) {
    if (reading->has_turned) {
        *stat = reading->living.main;
        return reading->living.main_result;
    }
    char path[sizeof(pi_file_path)]; /* written where it is read: no copy that waits for it */
    write_path(path, reading->files, "stat");
    return pi_stat_read(reading->files->directory, path, text, stat);
}

bool pi_reading_is_known_kernel_thread(const pi_process_reading *reading) {
    return reading->is_kernel_thread && (reading->reader->members & PI_STAT_MEMBERS) != 0;
}

int32_t pi_reading_exhausted(const pi_process_reader *reader) {
    if (pi_arena_share_reached(reader->arena))
        return PI_READING_TOO_LONG;
    if (!pi_arena_limit_reached(reader->arena))
        return pi_error_no_memory(reader->error);
    return pi_error_set(
        reader->error, PROCINSPECT_ERROR_TOO_LARGE, 0,
        "The processes have more to tell than this call takes; ask for fewer members.");
}

/* "1234/" and then "task/1235/". */
static void take_thread_files(pi_process_reading *reading) {
    pi_process_files *files = &reading->thread_files;
    *files = *reading->files;
    files->prefix_length += (size_t)snprintf(files->prefix + files->prefix_length,
                                             sizeof files->prefix - files->prefix_length,
                                             "task/%d/", (int)reading->living.tid);
}

int32_t pi_reading_turn(pi_process_reading *reading, uint64_t members) {
    if (reading->is_kernel_thread)
        return 0;
    int result =
        pi_living_turn(reading->files->directory, reading->files->prefix, &reading->living);
    reading->has_turned = true;
    if (reading->living.main_result == 0)
        reading->is_kernel_thread = reading->living.main.is_kernel_thread;
    if (result == PI_LIVING_STANDS || result == -EAGAIN)
        return 0;
    if (result < 0)
        return pi_reading_failed(reading, members, -result);
    reading->program_files = reading->files;
    if (reading->living.tid != 0) {
        take_thread_files(reading);
        reading->program_files = &reading->thread_files;
    }
    return PI_READING_AGAIN;
}

int32_t pi_reading_add_unavailable(pi_process_reading *reading, uint64_t members, int32_t code,
                                   int os_errno, const char *reason) {
    reading->unavailable[reading->unavailable_count++] = (procinspect_unavailable){
        .members = members, .code = code, .os_errno = os_errno, .reason = reason};
    return 0;
}

static int32_t add_refusal(pi_process_reading *reading, uint64_t members, int os_errno);

static const char kernel_thread_reason[] =
    "A kernel thread has no memory and no program of its own.";

/* The given reason (NULL: the kernel refused), unless the process is one that has neither memory
 * nor program. */
static int32_t explain(pi_process_reading *reading, uint64_t members, int32_t code, int os_errno,
                       const char *reason) {
    if (pi_reading_is_known_kernel_thread(reading))
        return pi_reading_add_unavailable(reading, members, PROCINSPECT_ERROR_UNSUPPORTED, os_errno,
                                          kernel_thread_reason);
    pi_stat_text text;
    pi_stat stat;
    int result = pi_reading_stat(reading, &text, &stat);
    if (result == -ENOENT || result == -ESRCH || (result == 0 && pi_stat_is_ending(&stat)))
        return PI_PROCESS_ENDED;
    if (result == 0 && pi_stat_has_lost_main_thread(&stat)) {
        code = PROCINSPECT_ERROR_GONE;
        reason = "The main thread has ended, and the others were about to end, too, when they were "
                 "asked in its place; ask again.";
    } else if (result == 0 && pi_stat_is_dead(&stat)) {
        code = PROCINSPECT_ERROR_GONE;
        reason = pi_zombie_reason;
    } else if (result == 0 && stat.is_kernel_thread) {
        code = PROCINSPECT_ERROR_UNSUPPORTED;
        reason = kernel_thread_reason;
    }
    return reason == NULL ? add_refusal(reading, members, os_errno)
                          : pi_reading_add_unavailable(reading, members, code, os_errno, reason);
}

int32_t pi_reading_explain_nothing(pi_process_reading *reading, uint64_t members, int os_errno) {
    return explain(reading, members, PROCINSPECT_ERROR_NOT_FOUND, os_errno,
                   "The kernel doesn't tell this of the process.");
}

/* The kernel refused: why, for this process. Its files have one reason. */
static int32_t add_refusal(pi_process_reading *reading, uint64_t members, int os_errno) {
    if (reading->refusal == NULL) {
        const pi_process_files *files = reading->files;
        procinspect_error why;
        pi_read_refused(reading->reader->system, files->directory, files->prefix,
                        reading->info->pid, "files", os_errno, &why);
        /* Not from the share: it isn't the process that says how long this is. */
        pi_arena *arena = reading->reader->arena;
        size_t share = pi_arena_end_share(arena);
        reading->refusal = pi_arena_copy(arena, why.message, strlen(why.message));
        pi_arena_begin_share(arena, share);
    }
    return reading->refusal != NULL
               ? pi_reading_add_unavailable(reading, members, PROCINSPECT_ERROR_PERMISSION,
                                            os_errno, reading->refusal)
               : pi_reading_exhausted(reading->reader);
}

int32_t pi_reading_failed(pi_process_reading *reading, uint64_t members, int os_errno) {
    int32_t code = pi_error_code_of_errno(os_errno);
    switch (code) {
    case PROCINSPECT_ERROR_NO_MEMORY:
        return pi_error_no_memory(reading->reader->error);
    case PROCINSPECT_ERROR_NO_RESOURCES:
        return pi_error_set(
            reading->reader->error, code, os_errno,
            "Reading files of process %d failed: %s. Close descriptors or raise the "
            "host's limit.",
            (int)reading->info->pid, strerrordesc_np(os_errno));
    case PROCINSPECT_ERROR_NOT_FOUND:
    case PROCINSPECT_ERROR_GONE:
        return pi_reading_explain_nothing(reading, members, os_errno);
    case PROCINSPECT_ERROR_PERMISSION:
        return add_refusal(reading, members, os_errno);
    default:
        return pi_reading_add_unavailable(
            reading, members, code, os_errno,
            os_errno == EBADMSG ? "The file in /proc has an unknown format."
            : os_errno == EBUSY ? pi_starting_reason
                                : "Reading the file in /proc failed.");
    }
}

int32_t pi_reading_memory_failed(pi_process_reading *reading, uint64_t members, int os_errno) {
    int32_t code = pi_error_code_of_errno(os_errno);
    return code == PROCINSPECT_ERROR_PERMISSION ? explain(reading, members, code, os_errno, NULL)
                                                : pi_reading_failed(reading, members, os_errno);
}
