/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/error.h"
#include "base/text.h"
#include "model/command_line.h"
#include "model/environment.h"
#include "platform/linux/environ.h"
#include "platform/linux/executable.h"
#include "platform/linux/process_source.h"
#include "platform/linux/program_start.h"

enum {
    LONGEST_COMMAND_LINE = 1024 * 1024,
    USUAL_ENVIRONMENT = 16 * 1024 /* or less */
};

int pi_source_command_line_bytes(pi_process_reading *reading) {
    const pi_process_files *files = reading->program_files;
    return pi_proc_read_bytes(files->directory, pi_reading_path(files, "cmdline").text,
                              &reading->reader->bytes, LONGEST_COMMAND_LINE);
}

int32_t pi_source_command_line(pi_process_reading *reading, uint64_t members) {
    pi_process_reader *reader = reading->reader;
    procinspect_process_info *info = reading->info;
    int result = pi_source_command_line_bytes(reading);
    size_t length = result == 0 ? reader->bytes.length : 0;
    int32_t turned = length == 0 ? pi_reading_turn(reading, members) : 0;
    if (turned != 0)
        return turned;
    if (result != 0)
        return pi_reading_failed(reading, members, -result);
    if (length == 0 && !reading->is_kernel_thread) {
        pi_stat_text text;
        pi_stat stat;
        /* A zombie has forgotten it; a process can also have none, or none yet. */
        if (pi_reading_stat(reading, &text, &stat) != 0 || pi_stat_is_dead(&stat))
            return pi_reading_explain_nothing(reading, members, 0);
        const pi_process_files *files = reading->program_files;
        result = pi_program_file_read(files->directory, pi_reading_path(files, "stat").text,
                                      pi_reading_path(files, "cmdline").text, LONGEST_COMMAND_LINE,
                                      &reader->bytes);
        if (result != 0)
            return pi_reading_failed(reading, members, -result);
        length = reader->bytes.length;
    }
    const char *bytes = pi_arena_copy(reader->arena, reader->bytes.data, length);
    const char *joined = pi_command_line_join(reader->arena, reader->bytes.data, length);
    if (bytes == NULL || joined == NULL)
        return pi_reading_exhausted(reader);
    info->command_line = joined;
    info->command_line_bytes = bytes;
    info->command_line_bytes_length = length;
    info->known |= members;
    return 0;
}

int32_t pi_source_executable(pi_process_reading *reading, uint64_t members) {
    char path[PI_EXECUTABLE_CAPACITY];
    size_t length;
    const pi_process_files *files = reading->program_files;
    int result = pi_executable_read(files->directory, files->prefix, path, &length);
    int32_t turned = result != 0 ? pi_reading_turn(reading, members) : 0;
    if (turned != 0)
        return turned;
    if (result != 0)
        return pi_reading_memory_failed(reading, members, -result);
    procinspect_process_info *info = reading->info;
    const char *bytes = pi_arena_copy(reading->reader->arena, path, length);
    if (bytes != NULL)
        info->executable_path = pi_utf8_terminated(reading->reader->arena, bytes, length);
    if (info->executable_path == NULL)
        return pi_reading_exhausted(reading->reader);
    info->executable_path_bytes = bytes;
    info->executable_path_bytes_length = length;
    info->known |= members;
    return 0;
}

static void set_site_role(procinspect_process_info *info, pi_bytes block) {
    pi_site_role role = pi_site_role_of(block);
    info->is_management_site = role.is_management_site;
    info->is_web_job = role.web_job_name.data != NULL;
    info->known |= PROCINSPECT_PROCESS_SITE_ROLE;
}

static int32_t make_environment(pi_process_reading *reading, pi_bytes block) {
    const pi_environment_maker *maker = reading->reader->environment_maker;
    int32_t code = maker->make(maker->user, block, reading->reader->arena, reading->info);
    if (code == PROCINSPECT_ERROR_POLICY)
        return pi_reading_add_unavailable(
            reading, PROCINSPECT_PROCESS_ENVIRONMENT, code, 0,
            "The host's policy refuses reading the environment of this process: "
            "its authorize callback said no.");
    if (code != 0)
        return pi_reading_exhausted(reading->reader);
    reading->info->known |= PROCINSPECT_PROCESS_ENVIRONMENT;
    return 0;
}

/* The file into the arena's room, where it then can stay, or into the reader's buffer if it doesn't
 * fit there. */
static int read_environ(const pi_process_reading *reading, pi_bytes *block) {
    pi_process_reader *reader = reading->reader;
    const pi_process_files *files = reading->program_files;
    const pi_file_path path = pi_reading_path(files, "environ");
    size_t size;
    char *room = pi_arena_room(reader->arena, USUAL_ENVIRONMENT, &size);
    if (room != NULL) {
        /* A short read is the end of it, and there is place for a NUL behind it. */
        ssize_t length = pi_proc_read_once(files->directory, path.text, room, size);
        if (length < 0)
            return -errno;
        *block = (pi_bytes){room, (size_t)length};
        if ((size_t)length < size)
            return 0;
    }
    int result = pi_environ_file_read(files->directory, path.text, &reader->bytes);
    *block = (pi_bytes){reader->bytes.data, reader->bytes.length};
    return result;
}

static int read_environ_again(const pi_process_reading *reading, pi_bytes *block) {
    pi_buffer *buffer = &reading->reader->bytes;
    const pi_process_files *files = reading->program_files;
    int result = pi_environ_file_read_again(files->directory, pi_reading_path(files, "stat").text,
                                            pi_reading_path(files, "environ").text, buffer);
    *block = (pi_bytes){buffer->data, buffer->length};
    return result;
}

int32_t pi_source_environment(pi_process_reading *reading, uint64_t members) {
    pi_bytes block = {0};
    int result = read_environ(reading, &block);
    if (result != 0 || block.length == 0) {
        int32_t turned = pi_reading_turn(reading, members);
        if (turned != 0)
            return turned;
    }
    /* Kernel threads and zombies: newer kernels answer ESRCH, or let root alone look. */
    if (result == -ESRCH || result == -EACCES || result == -EPERM)
        block.length = 0;
    else if (result != 0)
        return pi_reading_failed(reading, members, -result);
    if (block.length == 0 && !pi_reading_is_known_kernel_thread(reading)) {
        pi_stat_text text;
        pi_stat stat;
        /* A zombie has forgotten what it was; a process without variables is neither. */
        if (pi_reading_stat(reading, &text, &stat) != 0 || pi_stat_is_dead(&stat))
            return pi_reading_explain_nothing(reading, members, -result);
        if (result == 0 && !stat.is_kernel_thread)
            result = read_environ_again(reading, &block);
        if (result != 0 && !stat.is_kernel_thread)
            return pi_reading_failed(reading, members, -result);
    }
    if ((members & PROCINSPECT_PROCESS_SITE_ROLE) != 0)
        set_site_role(reading->info, block);
    return (members & PROCINSPECT_PROCESS_ENVIRONMENT) != 0 ? make_environment(reading, block) : 0;
}
