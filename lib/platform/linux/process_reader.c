/* SPDX-License-Identifier: MIT */
#include "platform/linux/process_reader.h"

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
#include "platform/linux/status.h"

enum {
    LONGEST_COMMAND_LINE = 1024 * 1024,
    LONGEST_STATUS = 1024 * 1024, /* a process may be in 65,536 groups */
    CUT_NAME_LENGTH = 15,         /* TASK_COMM_LEN less its NUL */
    MAX_OPEN_FILES = 1048576
};

#define OWNER_MEMBERS (PROCINSPECT_PROCESS_USER_ID | PROCINSPECT_PROCESS_USER_NAME)
#define ENVIRON_MEMBERS (PROCINSPECT_PROCESS_SITE_ROLE | PROCINSPECT_PROCESS_ENVIRONMENT)
#define STATUS_MEMBERS                                                                             \
    (PROCINSPECT_PROCESS_TRACER | PROCINSPECT_PROCESS_VIRTUAL_MEMORY |                             \
     PROCINSPECT_PROCESS_PEAK_VIRTUAL_MEMORY | PROCINSPECT_PROCESS_RESIDENT_MEMORY |               \
     PROCINSPECT_PROCESS_PEAK_RESIDENT_MEMORY | PROCINSPECT_PROCESS_DATA_MEMORY |                  \
     PROCINSPECT_PROCESS_SWAPPED_MEMORY)

/* One process while it is read. */
typedef struct process_reading {
    pi_process_reader *reader;
    const pi_process_files *files;
    procinspect_process_info *info;
    bool has_command_line; /* the reader's buffer holds it: it was read for the name */
    procinspect_unavailable *unavailable[8]; /* at most one for each source */
    size_t unavailable_count;
} process_reading;

typedef struct file_path {
    char text[64];
} file_path;

static file_path path_of(const pi_process_files *files, const char *name) {
    file_path path;
    size_t prefix_length = files->prefix_length;
    memcpy(path.text, files->prefix, prefix_length);
    memcpy(path.text + prefix_length, name, strlen(name) + 1);
    return path;
}

static int32_t exhausted(const pi_process_reader *reader) {
    if (!pi_arena_limit_reached(reader->arena))
        return pi_error_no_memory(reader->error);
    return pi_error_set(
        reader->error, PROCINSPECT_ERROR_TOO_LARGE, 0,
        "The processes have more to tell than this call takes; ask for fewer members.");
}

/* The reason must be static text. */
static int32_t add_unavailable(process_reading *reading, uint64_t members, int32_t code,
                               int os_errno, const char *reason) {
    procinspect_unavailable *added = pi_arena_alloc(reading->reader->arena, sizeof *added);
    if (added == NULL)
        return exhausted(reading->reader);
    *added = (procinspect_unavailable){
        .members = members, .code = code, .os_errno = os_errno, .reason = reason};
    reading->unavailable[reading->unavailable_count++] = added;
    return 0;
}

static int read_stat_now(const process_reading *reading, pi_stat_text *text, pi_stat *stat) {
    return pi_stat_read(reading->files->directory, path_of(reading->files, "stat").text, text,
                        stat);
}

/* Why a process that lives has nothing to tell here. */
static int32_t explain_nothing(process_reading *reading, uint64_t members, int os_errno) {
    pi_stat_text text;
    pi_stat stat;
    int result = read_stat_now(reading, &text, &stat);
    if (result == -ENOENT || result == -ESRCH)
        return PI_PROCESS_ENDED;
    if (result == 0 && pi_stat_is_dead(&stat))
        return add_unavailable(reading, members, PROCINSPECT_ERROR_GONE, os_errno,
                               "The process has ended and waits for its parent to take notice (a "
                               "zombie): it has no memory and no program any more.");
    if (result == 0 && stat.is_kernel_thread)
        return add_unavailable(reading, members, PROCINSPECT_ERROR_UNSUPPORTED, os_errno,
                               "A kernel thread has no memory and no program of its own.");
    return add_unavailable(reading, members, PROCINSPECT_ERROR_NOT_FOUND, os_errno,
                           "The kernel doesn't tell this of the process.");
}

/* What a failed system call on one of the process's files means for these members. */
static int32_t failed(process_reading *reading, uint64_t members, int os_errno) {
    int32_t code = pi_error_code_of_errno(os_errno);
    switch (code) {
    case PROCINSPECT_ERROR_NO_MEMORY:
        return pi_error_no_memory(reading->reader->error);
    case PROCINSPECT_ERROR_NO_RESOURCES:
        return pi_error_set(reading->reader->error, code, os_errno,
                            "Reading files of /proc/%d failed: %s. Close descriptors or raise the "
                            "host's limit.",
                            (int)reading->info->pid, strerrordesc_np(os_errno));
    case PROCINSPECT_ERROR_NOT_FOUND:
    case PROCINSPECT_ERROR_GONE:
        return explain_nothing(reading, members, os_errno);
    case PROCINSPECT_ERROR_PERMISSION:
        return add_unavailable(
            reading, members, code, os_errno,
            "The kernel doesn't let this user read it: the process belongs to "
            "another user or is protected (a setuid program), or /proc is mounted "
            "with hidepid. Run as that user or as root, or grant CAP_SYS_PTRACE.");
    default:
        return add_unavailable(reading, members, code, os_errno,
                               os_errno == EBADMSG ? "The file in /proc has an unknown format."
                                                   : "Reading the file in /proc failed.");
    }
}

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
static int read_command_line(process_reading *reading) {
    if (reading->has_command_line)
        return 0;
    int result =
        pi_proc_read_bytes(reading->files->directory, path_of(reading->files, "cmdline").text,
                           &reading->reader->bytes, LONGEST_COMMAND_LINE);
    reading->has_command_line = result == 0;
    return result;
}

/* A name that the kernel cut, from the command line in the reader's buffer. */
static int32_t set_name(process_reading *reading, const char *name, size_t length,
                        pi_bytes command_line) {
    pi_bytes complete = pi_process_name_complete((pi_bytes){name, length}, command_line);
    reading->info->name = pi_utf8_repair(reading->reader->arena, complete.data, complete.length);
    return reading->info->name == NULL ? exhausted(reading->reader) : 0;
}

static int32_t read_name(process_reading *reading, const pi_stat *stat) {
    pi_bytes command_line = {0};
    if (stat->name_length == CUT_NAME_LENGTH && !stat->is_kernel_thread) {
        int result = read_command_line(reading);
        int32_t code = result == 0 ? 0 : pi_error_code_of_errno(-result);
        if (code == PROCINSPECT_ERROR_NO_RESOURCES || code == PROCINSPECT_ERROR_NO_MEMORY)
            return failed(reading, PROCINSPECT_PROCESS_NAME, -result);
        if (code == 0) /* otherwise the name stays as the kernel has it */
            command_line = (pi_bytes){reading->reader->bytes.data, reading->reader->bytes.length};
    }
    return set_name(reading, stat->name, stat->name_length, command_line);
}

static int32_t read_stat_members(process_reading *reading, uint64_t members) {
    pi_stat_text text;
    pi_stat stat;
    int result = read_stat_now(reading, &text, &stat);
    if (result == -ENOENT || result == -ESRCH)
        return PI_PROCESS_ENDED;
    if (result != 0)
        return failed(reading, members, -result);
    take_stat(reading->reader->system, members, &stat, reading->info);
    if ((members & PROCINSPECT_PROCESS_NAME) != 0) {
        int32_t code = read_name(reading, &stat);
        if (code != 0)
            return code;
    }
    reading->info->known |= members;
    return 0;
}

/* The owner of the directory: its files are root's where the process is not dumpable. */
static int32_t read_owner_members(process_reading *reading, uint64_t members) {
    struct stat status;
    const pi_process_files *files = reading->files;
    int result = files->prefix[0] == '\0'
                     ? fstat(files->directory, &status)
                     : fstatat(files->directory, files->prefix, &status, AT_SYMLINK_NOFOLLOW);
    if (result != 0)
        return failed(reading, members, errno);
    procinspect_process_info *info = reading->info;
    if ((members & PROCINSPECT_PROCESS_USER_ID) != 0)
        info->user_id = status.st_uid;
    info->known |= members & PROCINSPECT_PROCESS_USER_ID;
    if ((members & PROCINSPECT_PROCESS_USER_NAME) == 0)
        return 0;
    int os_errno = pi_user_name(&reading->reader->user_names, status.st_uid, reading->reader->arena,
                                &info->user_name);
    if (os_errno == ENOMEM)
        return exhausted(reading->reader);
    if (pi_error_code_of_errno(os_errno) == PROCINSPECT_ERROR_NO_RESOURCES)
        return failed(reading, PROCINSPECT_PROCESS_USER_NAME, os_errno);
    if (os_errno != 0)
        return add_unavailable(reading, PROCINSPECT_PROCESS_USER_NAME, PROCINSPECT_ERROR_IO,
                               os_errno,
                               "The user database of this system failed; see nsswitch.conf.");
    info->known |= PROCINSPECT_PROCESS_USER_NAME;
    return 0;
}

static int32_t read_command_line_member(process_reading *reading, uint64_t members) {
    pi_process_reader *reader = reading->reader;
    procinspect_process_info *info = reading->info;
    /* Between the name and this no source fills the buffer. */
    int result = read_command_line(reading);
    if (result != 0)
        return failed(reading, members, -result);
    size_t length = reader->bytes.length;
    info->command_line_bytes = pi_arena_copy(reader->arena, reader->bytes.data, length);
    info->command_line = pi_command_line_join(reader->arena, reader->bytes.data, length);
    if (info->command_line_bytes == NULL || info->command_line == NULL)
        return exhausted(reader);
    info->command_line_bytes_length = length;
    info->known |= members;
    return 0;
}

static int32_t read_executable_member(process_reading *reading, uint64_t members) {
    char path[PI_EXECUTABLE_CAPACITY];
    size_t length;
    int result =
        pi_executable_read(reading->files->directory, reading->files->prefix, path, &length);
    if (result != 0)
        return failed(reading, members, -result);
    procinspect_process_info *info = reading->info;
    info->executable_path_bytes = pi_arena_copy(reading->reader->arena, path, length);
    info->executable_path = pi_utf8_repair(reading->reader->arena, path, length);
    if (info->executable_path_bytes == NULL || info->executable_path == NULL)
        return exhausted(reading->reader);
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

static int32_t read_status_members(process_reading *reading, uint64_t members) {
    pi_buffer *text = &reading->reader->bytes;
    int result = pi_proc_read_bytes(reading->files->directory,
                                    path_of(reading->files, "status").text, text, LONGEST_STATUS);
    if (result != 0)
        return failed(reading, members, -result);
    pi_status status;
    pi_status_parse(text->data, text->length, &status);
    uint64_t known = take_status(&status, members, reading->info);
    reading->info->known |= known;
    return known == members ? 0 : explain_nothing(reading, members & ~known, 0);
}

static int32_t read_open_file_count(process_reading *reading, uint64_t members) {
    pi_numbers numbers = {0};
    int result = pi_proc_read_numbers(reading->files->directory, path_of(reading->files, "fd").text,
                                      MAX_OPEN_FILES, &numbers);
    if (result != 0 && result != -E2BIG)
        return failed(reading, members, -result);
    reading->info->open_file_count = result == 0 ? (uint32_t)numbers.count : MAX_OPEN_FILES;
    free(numbers.items);
    reading->info->known |= members;
    return 0;
}

static int32_t copy_text(process_reading *reading, pi_bytes bytes, const char **text) {
    if (bytes.data == NULL)
        return 0;
    *text = pi_utf8_repair(reading->reader->arena, bytes.data, bytes.length);
    return *text == NULL ? exhausted(reading->reader) : 0;
}

static int32_t set_site_role(process_reading *reading, pi_bytes block) {
    pi_site_role role = pi_site_role_of(block);
    procinspect_process_info *info = reading->info;
    info->is_management_site = role.is_management_site;
    info->is_web_job = role.web_job_name.data != NULL;
    int32_t code = copy_text(reading, role.web_job_name, &info->web_job_name);
    if (code == 0)
        code = copy_text(reading, role.web_job_type, &info->web_job_type);
    if (code == 0)
        info->known |= PROCINSPECT_PROCESS_SITE_ROLE;
    return code;
}

static int32_t make_environment(process_reading *reading, pi_bytes block) {
    const pi_environment_maker *maker = reading->reader->environment_maker;
    int32_t code = maker->make(maker->user, block, reading->reader->arena, reading->info);
    if (code == PROCINSPECT_ERROR_POLICY)
        return add_unavailable(reading, PROCINSPECT_PROCESS_ENVIRONMENT, code, 0,
                               "The host's policy refuses reading the environment of this process: "
                               "its authorize callback said no.");
    if (code != 0)
        return exhausted(reading->reader);
    reading->info->known |= PROCINSPECT_PROCESS_ENVIRONMENT;
    return 0;
}

static int32_t read_environ_members(process_reading *reading, uint64_t members) {
    pi_process_reader *reader = reading->reader;
    int result = pi_environ_file_read(reading->files->directory,
                                      path_of(reading->files, "environ").text, &reader->bytes);
    if (result == -ESRCH) /* how newer kernels answer where there is no memory */
        reader->bytes.length = 0;
    else if (result != 0)
        return failed(reading, members, -result);
    if (reader->bytes.length == 0) {
        pi_stat_text text;
        pi_stat stat;
        /* A zombie has forgotten what it was; a process without variables is neither. */
        if (read_stat_now(reading, &text, &stat) != 0 || pi_stat_is_dead(&stat) ||
            (result != 0 && !stat.is_kernel_thread))
            return explain_nothing(reading, members, -result);
    }
    pi_bytes block = {reader->bytes.data, reader->bytes.length};
    int32_t code = 0;
    if ((members & PROCINSPECT_PROCESS_SITE_ROLE) != 0)
        code = set_site_role(reading, block);
    if (code == 0 && (members & PROCINSPECT_PROCESS_ENVIRONMENT) != 0)
        code = make_environment(reading, block);
    return code;
}

/* Each file with the members that it answers, the one that tells of an ended process first. */
static const struct {
    uint64_t members;
    int32_t (*read)(process_reading *reading, uint64_t members);
} sources[] = {
    {PI_STAT_MEMBERS, read_stat_members},
    {OWNER_MEMBERS, read_owner_members},
    {PROCINSPECT_PROCESS_COMMAND_LINE, read_command_line_member},
    {PROCINSPECT_PROCESS_EXECUTABLE, read_executable_member},
    {STATUS_MEMBERS, read_status_members},
    {PROCINSPECT_PROCESS_OPEN_FILE_COUNT, read_open_file_count},
    {ENVIRON_MEMBERS, read_environ_members},
};
enum { SOURCE_COUNT = sizeof sources / sizeof sources[0] };

int32_t pi_process_reader_read(pi_process_reader *reader, const pi_process_files *files,
                               procinspect_process_info *info) {
    process_reading reading = {.reader = reader, .files = files, .info = info};
    for (size_t i = 0; i < SOURCE_COUNT; i++) {
        uint64_t members = sources[i].members & reader->members;
        int32_t code = members != 0 ? sources[i].read(&reading, members) : 0;
        if (code != 0)
            return code;
    }
    if (reading.unavailable_count == 0)
        return 0;
    size_t size = reading.unavailable_count * sizeof reading.unavailable[0];
    void *items = pi_arena_alloc(reader->arena, size);
    if (items == NULL)
        return exhausted(reader);
    memcpy(items, reading.unavailable, size);
    info->unavailable = items;
    info->unavailable_count = reading.unavailable_count;
    return 0;
}

void pi_process_reader_end(pi_process_reader *reader) {
    pi_buffer_free(&reader->bytes);
    pi_user_names_free(&reader->user_names);
}
