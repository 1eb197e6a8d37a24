/* SPDX-License-Identifier: MIT */
#include "platform/linux/process_reading.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "model/command_line.h"
#include "model/environment.h"
#include "platform/linux/environ.h"
#include "platform/linux/executable.h"
#include "platform/linux/program_start.h"
#include "platform/linux/status.h"

enum {
    LONGEST_COMMAND_LINE = 1024 * 1024,
    USUAL_ENVIRONMENT = 16 * 1024, /* or less */
    LONGEST_STATUS = 1024 * 1024,  /* a process may be in 65,536 groups */
    CUT_NAME_LENGTH = 15,          /* TASK_COMM_LEN less its NUL */
    MAX_OPEN_FILES = 1048576
};

#define OWNER_MEMBERS (PROCINSPECT_PROCESS_USER_ID | PROCINSPECT_PROCESS_USER_NAME)
#define ENVIRON_MEMBERS                                                                            \
    (PROCINSPECT_PROCESS_SITE_ROLE | PROCINSPECT_PROCESS_WEB_JOB | PROCINSPECT_PROCESS_ENVIRONMENT)
#define STATUS_MEMBERS                                                                             \
    (PROCINSPECT_PROCESS_TRACER | PROCINSPECT_PROCESS_VIRTUAL_MEMORY |                             \
     PROCINSPECT_PROCESS_PEAK_VIRTUAL_MEMORY | PROCINSPECT_PROCESS_RESIDENT_MEMORY |               \
     PROCINSPECT_PROCESS_PEAK_RESIDENT_MEMORY | PROCINSPECT_PROCESS_DATA_MEMORY |                  \
     PROCINSPECT_PROCESS_SWAPPED_MEMORY)

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

/* The command line into the reader's buffer. */
static int read_command_line(pi_process_reading *reading) {
    const pi_process_files *files = reading->program_files;
    return pi_proc_read_bytes(files->directory, pi_reading_path(files, "cmdline").text,
                              &reading->reader->bytes, LONGEST_COMMAND_LINE);
}

/* The command line for a name that the kernel cut, where it can be read: otherwise the name stays
 * as it is. */
static int32_t find_command_line(pi_process_reading *reading, pi_bytes *command_line) {
    const procinspect_process_info *info = reading->info;
    if ((info->known & PROCINSPECT_PROCESS_COMMAND_LINE) != 0) {
        *command_line = (pi_bytes){info->command_line_bytes, info->command_line_bytes_length};
        return 0;
    }
    int result = read_command_line(reading);
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

static int32_t read_stat_members(pi_process_reading *reading, uint64_t members) {
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
static int32_t read_owner_members(pi_process_reading *reading, uint64_t members) {
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

static int32_t read_command_line_member(pi_process_reading *reading, uint64_t members) {
    pi_process_reader *reader = reading->reader;
    procinspect_process_info *info = reading->info;
    int result = read_command_line(reading);
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

static int32_t read_executable_member(pi_process_reading *reading, uint64_t members) {
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

static uint64_t take_status(const pi_status *status, uint64_t members,
                            procinspect_process_info *info) {
    const struct {
        uint64_t member;
        uint32_t bit;
        uint64_t value;
        uint64_t *to;
    } memory[] = {
        {PROCINSPECT_PROCESS_VIRTUAL_MEMORY, PI_STATUS_VM_SIZE, status->vm_size_bytes,
         &info->virtual_memory_bytes},
        {PROCINSPECT_PROCESS_PEAK_VIRTUAL_MEMORY, PI_STATUS_VM_PEAK, status->vm_peak_bytes,
         &info->peak_virtual_memory_bytes},
        {PROCINSPECT_PROCESS_RESIDENT_MEMORY, PI_STATUS_VM_RSS, status->vm_rss_bytes,
         &info->resident_memory_bytes},
        {PROCINSPECT_PROCESS_PEAK_RESIDENT_MEMORY, PI_STATUS_VM_HWM, status->vm_hwm_bytes,
         &info->peak_resident_memory_bytes},
        {PROCINSPECT_PROCESS_DATA_MEMORY, PI_STATUS_VM_DATA, status->vm_data_bytes,
         &info->data_memory_bytes},
        {PROCINSPECT_PROCESS_SWAPPED_MEMORY, PI_STATUS_VM_SWAP, status->vm_swap_bytes,
         &info->swapped_memory_bytes},
    };
    uint64_t known = 0;
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++) {
        if ((members & memory[i].member) == 0 || (status->known & memory[i].bit) == 0)
            continue;
        *memory[i].to = memory[i].value;
        known |= memory[i].member;
    }
    if ((members & PROCINSPECT_PROCESS_TRACER) != 0 && (status->known & PI_STATUS_TRACER) != 0) {
        info->tracer_pid = status->tracer_pid;
        known |= PROCINSPECT_PROCESS_TRACER;
    }
    return known;
}

static int32_t read_status_members(pi_process_reading *reading, uint64_t members) {
    pi_buffer *text = &reading->reader->bytes;
    const pi_process_files *files = reading->program_files;
    int result = pi_proc_read_bytes(files->directory, pi_reading_path(files, "status").text, text,
                                    LONGEST_STATUS);
    uint64_t known = 0;
    if (result == 0) {
        pi_status status;
        pi_status_parse(text->data, text->length, &status);
        known = take_status(&status, members, reading->info);
    }
    int32_t turned = known != members ? pi_reading_turn(reading, members) : 0;
    if (turned != 0)
        return turned;
    if (result != 0)
        return pi_reading_failed(reading, members, -result);
    reading->info->known |= known;
    return known == members ? 0 : pi_reading_explain_nothing(reading, members & ~known, 0);
}

static int32_t read_open_file_count(pi_process_reading *reading, uint64_t members) {
    pi_numbers numbers = {0};
    const pi_process_files *files = reading->program_files;
    int result = pi_proc_read_numbers(files->directory, pi_reading_path(files, "fd").text,
                                      MAX_OPEN_FILES, &numbers);
    if (result != -E2BIG && numbers.count == 0) {
        free(numbers.items);
        numbers = (pi_numbers){0};
        int32_t turned = pi_reading_turn(reading, members);
        if (turned != 0)
            return turned;
        pi_stat_text text;
        pi_stat stat;
        /* Who has ended has nothing open, and the kernel shows that to root alone. */
        if ((result == -EACCES || result == -EPERM) &&
            pi_reading_stat(reading, &text, &stat) == 0 && pi_stat_is_dead(&stat) &&
            !pi_stat_has_lost_main_thread(&stat))
            result = 0;
    }
    if (result != 0 && result != -E2BIG)
        return pi_reading_failed(reading, members, -result);
    reading->info->open_file_count = result == 0 ? (uint32_t)numbers.count : MAX_OPEN_FILES;
    free(numbers.items);
    reading->info->known |= members;
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

static int32_t read_environ_members(pi_process_reading *reading, uint64_t members) {
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

/* Each file with the members that it answers. The one that tells when the process was started is
 * the last: that shows whose the others were. */
static const struct {
    uint64_t members;
    int32_t (*read)(pi_process_reading *reading, uint64_t members); /* PI_READING_AGAIN, too */
    bool has_share; /* the process says how long it is */
} sources[] = {
    {OWNER_MEMBERS, read_owner_members, false},
    {PROCINSPECT_PROCESS_COMMAND_LINE, read_command_line_member, true},
    {PROCINSPECT_PROCESS_EXECUTABLE, read_executable_member, true},
    {STATUS_MEMBERS, read_status_members, false},
    {PROCINSPECT_PROCESS_OPEN_FILE_COUNT, read_open_file_count, false},
    {ENVIRON_MEMBERS, read_environ_members, true},
    {PI_STAT_MEMBERS, read_stat_members, false},
};
enum { SOURCE_COUNT = sizeof sources / sizeof sources[0] };

static int32_t read_source(pi_process_reading *reading, size_t source, uint64_t members) {
    int32_t code;
    reading->has_turned = false;
    do
        code = sources[source].read(reading, members);
    while (code == PI_READING_AGAIN);
    return code;
}

/* Takes it from the process's share; what doesn't fit is left out. */
static int32_t read_with_share(pi_process_reading *reading, size_t source, uint64_t members,
                               size_t *share) {
    pi_arena *arena = reading->reader->arena;
    pi_arena_begin_share(arena, *share);
    int32_t code = read_source(reading, source, members);
    *share = pi_arena_end_share(arena);
    if (code == PI_READING_TOO_LONG)
        return pi_reading_add_unavailable(
            reading, members & ~reading->info->known, PROCINSPECT_ERROR_TOO_LARGE, 0,
            "It is longer than the share of one process in a listing of so many; ask this process "
            "alone.");
    return code;
}

/* The reasons that were noted, into the arena. */
static int32_t keep_unavailable(pi_process_reading *reading) {
    size_t count = reading->unavailable_count;
    if (count == 0)
        return 0;
    pi_arena *arena = reading->reader->arena;
    procinspect_unavailable *kept = pi_arena_alloc_array(arena, count, sizeof *kept);
    const procinspect_unavailable **items = pi_arena_alloc_array(arena, count, sizeof *items);
    if (kept == NULL || items == NULL)
        return pi_reading_exhausted(reading->reader);
    for (size_t i = 0; i < count; i++) {
        kept[i] = reading->unavailable[i];
        items[i] = &kept[i];
    }
    reading->info->unavailable = items;
    reading->info->unavailable_count = count;
    return 0;
}

int32_t pi_process_reader_read(pi_process_reader *reader, const pi_process_files *files,
                               procinspect_process_info *info) {
    pi_process_reading reading = {
        .reader = reader, .files = files, .program_files = files, .info = info};
    size_t share = reader->share;
    reader->start_ticks = UINT64_MAX;
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        uint64_t members = sources[i].members & reader->members;
        if (members == 0)
            continue;
        int32_t code = sources[i].has_share ? read_with_share(&reading, i, members, &share)
                                            : read_source(&reading, i, members);
        if (code != 0)
            return code;
    }
    return keep_unavailable(&reading);
}

void pi_process_reader_end(pi_process_reader *reader) {
    pi_buffer_free(&reader->bytes);
    pi_user_names_free(&reader->user_names);
}
