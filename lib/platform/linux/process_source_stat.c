/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "model/command_line.h"
#include "platform/linux/process_source.h"

enum { CUT_NAME_LENGTH = 15 }; /* TASK_COMM_LEN less its NUL */

static void take_stat(const pi_system *system, uint64_t members, const pi_stat *stat,
                      procinspect_process_info *info) {
    if ((members & PROCINSPECT_PROCESS_PARENT) != 0)
        info->parent_pid = stat->parent_pid;
    if ((members & PROCINSPECT_PROCESS_GROUP) != 0)
        info->process_group_id = stat->process_group_id;
    if ((members & PROCINSPECT_PROCESS_SESSION) != 0)
        info->session_id = stat->session_id;
    if ((members & PROCINSPECT_PROCESS_STATE) != 0)
        info->os_state = (unsigned char)stat->state;
    if ((members & PROCINSPECT_PROCESS_NICE) != 0)
        info->nice = stat->nice;
    if ((members & PROCINSPECT_PROCESS_THREAD_COUNT) != 0)
        info->thread_count = stat->thread_count;
    if ((members & PROCINSPECT_PROCESS_START_TIME) != 0) {
        info->start_time_unix_ns = pi_ticks_to_unix_ns(system, stat->start_ticks);
        info->start_time_since_boot_ns = pi_ticks_to_ns(system, stat->start_ticks);
    }
    if ((members & PROCINSPECT_PROCESS_CPU_TIME) != 0) {
        info->user_cpu_time_ns = pi_ticks_to_ns(system, stat->user_ticks);
        info->kernel_cpu_time_ns = pi_ticks_to_ns(system, stat->kernel_ticks);
    }
}

/* The command line for a name that the kernel cut, where it can be read: otherwise the name stays
 * as it is. */
static int32_t find_command_line(pi_process_reading *reading, pi_bytes *command_line) {
    const procinspect_process_info *info = reading->info;
    if ((info->known & PROCINSPECT_PROCESS_COMMAND_LINE) != 0) {
        *command_line = (pi_bytes){info->command_line_bytes, info->command_line_bytes_length};
        return 0;
    }
    int result = pi_source_command_line_bytes(reading);
    int32_t code = result == 0 ? 0 : pi_error_code_of_errno(-result);
    if (code == PROCINSPECT_ERROR_NO_RESOURCES || code == PROCINSPECT_ERROR_NO_MEMORY)
        return pi_reading_failed(reading, PROCINSPECT_PROCESS_NAME, -result);
    if (code == 0)
        *command_line = (pi_bytes){reading->reader->bytes.data, reading->reader->bytes.length};
    return 0;
}

static int32_t read_name(pi_process_reading *reading, const pi_stat *stat) {
    pi_bytes name = {stat->name, stat->name_length};
    if (stat->name_length == CUT_NAME_LENGTH && !stat->is_kernel_thread) {
        pi_bytes command_line = {0};
        int32_t code = find_command_line(reading, &command_line);
        if (code != 0)
            return code;
        name = pi_process_name_complete(name, command_line);
    }
    reading->info->name = pi_utf8_repair(reading->reader->arena, name.data, name.length);
    return reading->info->name == NULL ? pi_reading_exhausted(reading->reader) : 0;
}

int32_t pi_source_stat(pi_process_reading *reading, uint64_t members) {
    pi_stat_text text;
    pi_stat stat;
    int result = pi_reading_stat(reading, &text, &stat);
    if (result == 0 && pi_stat_has_lost_main_thread(&stat)) {
        int32_t turned = pi_reading_turn(reading, members);
        if (turned < 0)
            return turned;
        /* Threads were asked meanwhile; what counts is the last to be read. */
        reading->has_turned = false;
        result = pi_reading_stat(reading, &text, &stat);
    }
    if (result == -ENOENT || result == -ESRCH)
        return PI_PROCESS_ENDED;
    if (result != 0)
        return pi_reading_failed(reading, members, -result);
    reading->reader->start_ticks = stat.start_ticks;
    take_stat(reading->reader->system, members, &stat, reading->info);
    if ((members & PROCINSPECT_PROCESS_STATE) != 0 && reading->living.tid != 0 &&
        pi_stat_has_lost_main_thread(&stat))
        reading->info->os_state = (unsigned char)reading->living.state;
    if ((members & PROCINSPECT_PROCESS_NAME) != 0) {
        int32_t code = read_name(reading, &stat);
        if (code != 0)
            return code;
    }
    reading->info->known |= members;
    return 0;
}

/* The owner of the directory: its files are root's where the process is not dumpable. */
int32_t pi_source_owner(pi_process_reading *reading, uint64_t members) {
    struct stat status;
    const pi_process_files *files = reading->files;
    int result = files->prefix[0] == '\0'
                     ? fstat(files->directory, &status)
                     : fstatat(files->directory, files->prefix, &status, AT_SYMLINK_NOFOLLOW);
    if (result != 0)
        return pi_reading_failed(reading, members, errno);
    /* The directory of a process that has ended says root, too. */
    if (status.st_uid == 0 &&
        faccessat(files->directory, pi_reading_path(files, "stat").text, F_OK, 0) != 0)
        return PI_PROCESS_ENDED;
    procinspect_process_info *info = reading->info;
    if ((members & PROCINSPECT_PROCESS_USER_ID) != 0)
        info->user_id = status.st_uid;
    info->known |= members & PROCINSPECT_PROCESS_USER_ID;
    if ((members & PROCINSPECT_PROCESS_USER_NAME) == 0)
        return 0;
    int os_errno = pi_user_name(&reading->reader->user_names, status.st_uid, reading->reader->arena,
                                &info->user_name);
    if (os_errno == ENOMEM)
        return pi_reading_exhausted(reading->reader);
    if (pi_error_code_of_errno(os_errno) == PROCINSPECT_ERROR_NO_RESOURCES)
        return pi_reading_failed(reading, PROCINSPECT_PROCESS_USER_NAME, os_errno);
    if (os_errno != 0)
        return pi_reading_add_unavailable(
            reading, PROCINSPECT_PROCESS_USER_NAME, PROCINSPECT_ERROR_IO, os_errno,
            "The user database of this system failed; see nsswitch.conf.");
    info->known |= PROCINSPECT_PROCESS_USER_NAME;
    return 0;
}
