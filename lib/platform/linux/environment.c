/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "platform/linux/environ.h"
#include "platform/linux/living.h"
#include "platform/linux/program_start.h"

enum { LONGEST_ENVIRONMENT = 4 * 1024 * 1024 };

/* Half a value is a wrong one. */
static void cut_to_limit(pi_buffer *buffer) {
    if (buffer->length < LONGEST_ENVIRONMENT)
        return;
    const char *last_end = memrchr(buffer->data, '\0', buffer->length);
    buffer->length = last_end == NULL ? 0 : (size_t)(last_end - buffer->data) + 1;
}

int pi_environ_file_read(int directory, const char *path, pi_buffer *buffer) {
    int result = pi_proc_read_bytes(directory, path, buffer, LONGEST_ENVIRONMENT);
    if (result == 0)
        cut_to_limit(buffer);
    return result;
}

int pi_environ_file_read_again(int directory, const char *stat_path, const char *path,
                               pi_buffer *buffer) {
    int result = pi_program_file_read(directory, stat_path, path, LONGEST_ENVIRONMENT, buffer);
    if (result == 0)
        cut_to_limit(buffer);
    return result;
}

static int32_t exhausted(const pi_arena *arena, procinspect_error *error) {
    if (!pi_arena_limit_reached(arena))
        return pi_error_no_memory(error);
    return pi_error_set(
        error, PROCINSPECT_ERROR_TOO_LARGE, 0,
        "The environment doesn't fit what is left of this call's memory limit; read it "
        "with procinspect_environment_read.");
}

/* Where the environment is empty: is it one? A zombie has forgotten its. */
static int32_t check_nothing(const pi_process *process, procinspect_error *error) {
    pi_stat_text text;
    pi_stat stat;
    int32_t code = pi_process_check_memory(process, error);
    if (code == PROCINSPECT_OK)
        code = pi_process_stat(process, &text, &stat, error);
    if (code == PROCINSPECT_OK && pi_stat_is_dead(&stat))
        code = pi_error_set(error, PROCINSPECT_ERROR_GONE, 0, "%s", pi_zombie_reason);
    return code;
}

/* Kernel threads have no environment, which is no failure. */
static int32_t check_failure(const pi_process *process, int os_errno, procinspect_error *error) {
    pi_stat_text text;
    pi_stat stat;
    /* Newer kernels answer ESRCH, and let root alone look. */
    if (os_errno == ESRCH || os_errno == EACCES || os_errno == EPERM) {
        int32_t code = pi_process_stat(process, &text, &stat, error);
        if (code != PROCINSPECT_OK || stat.is_kernel_thread)
            return code;
        if (pi_stat_is_dead(&stat))
            return check_nothing(process, error);
    }
    int32_t code = os_errno == ESRCH ? pi_process_check_memory(process, error) : PROCINSPECT_OK;
    return code != PROCINSPECT_OK ? code : pi_process_failed(process, "environ", os_errno, error);
}

/* The file of a thread that lives into the buffer, which is empty where there is nothing. */
static int32_t read_file(const pi_process *process, pi_buffer *buffer, procinspect_error *error) {
    pi_living living = {0};
    pi_process files = *process;
    int result;
    int32_t code;
    do {
        result = pi_environ_file_read(files.directory, "environ", buffer);
        if (result != 0)
            buffer->length = 0;
        code = buffer->length == 0 ? pi_living_turn_process(process, &living, &files, error)
                                   : PI_LIVING_STANDS;
    } while (code == PI_LIVING_TURNED);
    if (code == PI_LIVING_STANDS && result == 0 && buffer->length == 0)
        result = pi_environ_file_read_again(files.directory, "stat", "environ", buffer);
    pi_living_close(process, &files);
    if (code != PI_LIVING_STANDS)
        return code;
    if (result == -EBUSY)
        return pi_error_set(error, PROCINSPECT_ERROR_IO, EBUSY, "%s", pi_starting_reason);
    if (result != 0)
        return check_failure(process, -result, error);
    /* The file of a process that has ended is empty, too. */
    return buffer->length == 0 ? check_nothing(process, error) : PROCINSPECT_OK;
}

int32_t pi_environment_read(const pi_process *process, pi_arena *arena, pi_bytes *environment,
                            procinspect_error *error) {
    pi_buffer buffer = {0};
    int32_t code = read_file(process, &buffer, error);
    if (code == PROCINSPECT_OK) {
        const char *copy = pi_arena_copy(arena, buffer.data, buffer.length);
        if (copy == NULL)
            code = exhausted(arena, error);
        else
            *environment = (pi_bytes){copy, buffer.length};
    }
    pi_buffer_free(&buffer);
    return code;
}
