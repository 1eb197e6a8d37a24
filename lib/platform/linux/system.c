/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "platform/linux/linux.h"

static const uint64_t ns_per_second = 1000000000;

uint32_t pi_own_user_id(void) {
    return geteuid();
}

bool pi_file_takes_any_order(int descriptor) {
    struct statfs file_system;
    return fstatfs(descriptor, &file_system) == 0 && file_system.f_type != FUSE_SUPER_MAGIC;
}

int32_t pi_own_pid(void) {
    return getpid();
}

bool pi_system_is_live(const pi_system *system) {
    return system->is_live;
}

static int64_t clock_ns(clockid_t clock) {
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return now.tv_sec * (int64_t)ns_per_second + now.tv_nsec;
}

uint64_t pi_ticks_now(const pi_system *system) {
    return (uint64_t)clock_ns(CLOCK_BOOTTIME) / system->tick_ns;
}

uint64_t pi_ticks_to_ns(const pi_system *system, uint64_t ticks) {
    uint64_t ns;
    return __builtin_mul_overflow(ticks, system->tick_ns, &ns) ? UINT64_MAX : ns;
}

int64_t pi_ticks_to_unix_ns(const pi_system *system, uint64_t ticks) {
    uint64_t since_boot = pi_ticks_to_ns(system, ticks);
    int64_t ns;
    return __builtin_add_overflow(system->boot_unix_ns, since_boot, &ns) ? INT64_MAX : ns;
}

static int32_t open_proc_root(const char *path, int *descriptor, procinspect_error *error) {
    do
        *descriptor = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    while (*descriptor < 0 && errno == EINTR);
    if (*descriptor >= 0)
        return PROCINSPECT_OK;
    int os_errno = errno;
    char shown[256];
    pi_utf8_repair_into(shown, sizeof shown, path, strlen(path));
    int32_t code = pi_error_code_of_errno(os_errno);
    if (os_errno == ENOTDIR)
        return pi_error_set(
            error, PROCINSPECT_ERROR_IO, os_errno,
            "The proc root %s is no directory; name one that holds a processes file "
            "system, such as /proc.",
            shown);
    return pi_error_set(
        error, code, os_errno,
        "The proc root %s can't be opened: %s. A processes file system must be mounted "
        "there (mount -t proc proc /proc), and this user must be let in.",
        shown, strerrordesc_np(os_errno));
}

/* It is our own pid namespace's /proc where it calls us by the number we know ourselves by. */
static bool is_own_proc(int proc) {
    struct statfs file_system;
    if (fstatfs(proc, &file_system) != 0 || file_system.f_type != PROC_SUPER_MAGIC)
        return false;
    struct stat ours, given;
    if (fstat(proc, &given) != 0 || stat("/proc", &ours) != 0 || ours.st_dev != given.st_dev ||
        ours.st_ino != given.st_ino)
        return false;
    char self[16];
    ssize_t length = readlinkat(proc, "self", self, sizeof self);
    uint64_t pid;
    return length > 0 && pi_parse_u64_whole(self, (size_t)length, 10, &pid) &&
           pid == (uint64_t)getpid();
}

/* The line "btime SECONDS" of a system's stat file. */
static bool find_boot_time(const pi_buffer *text, int64_t *boot_unix_ns) {
    static const char key[] = "btime ";
    const char *line = text->data, *end = text->data + text->length;
    while (line < end) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line));
        if (line_end == NULL)
            return false;
        size_t length = (size_t)(line_end - line);
        uint64_t seconds;
        if (length > sizeof key - 1 && memcmp(line, key, sizeof key - 1) == 0 &&
            pi_parse_u64_whole(line + sizeof key - 1, length - (sizeof key - 1), 10, &seconds) &&
            seconds <= INT64_MAX / ns_per_second) {
            *boot_unix_ns = (int64_t)(seconds * ns_per_second);
            return true;
        }
        line = line_end + 1;
    }
    return false;
}

static int32_t read_boot_time(int proc, const char *path, int64_t *boot_unix_ns,
                              procinspect_error *error) {
    enum {
        LARGEST_STAT = 4 * 1024 * 1024
    }; /* a number for each interrupt: long on large machines */
    pi_buffer text = {0};
    int result = pi_read_file_at(proc, "stat", &text, LARGEST_STAT);
    bool found = result == 0 && find_boot_time(&text, boot_unix_ns);
    pi_buffer_free(&text);
    if (found)
        return PROCINSPECT_OK;
    char shown[256];
    pi_utf8_repair_into(shown, sizeof shown, path, strlen(path));
    int32_t code = pi_error_code_of_errno(-result);
    if (code == PROCINSPECT_ERROR_NO_MEMORY)
        return pi_error_no_memory(error);
    if (code == PROCINSPECT_ERROR_NO_RESOURCES)
        return pi_error_set(
            error, code, -result,
            "Reading %s/stat failed: %s. Close descriptors or raise the host's limit.", shown,
            strerrordesc_np(-result));
    return pi_error_set(
        error, PROCINSPECT_ERROR_IO, -result,
        "%s holds no processes file system: it has no file \"stat\" with a line btime "
        "(%s). Mount one there (mount -t proc proc /proc) or name another root.",
        shown, result == 0 ? "no such line" : strerrordesc_np(-result));
}

static int32_t fill_system(pi_system *system, const char *path, procinspect_error *error) {
    long ticks_per_second = sysconf(_SC_CLK_TCK);
    system->tick_ns = ns_per_second / (uint64_t)(ticks_per_second > 0 ? ticks_per_second : 100);
    system->is_live = is_own_proc(system->proc);
    if (!system->is_live)
        return read_boot_time(system->proc, path, &system->boot_unix_ns, error);
    /* Finer than btime, which is cut to seconds. */
    system->boot_unix_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);
    return PROCINSPECT_OK;
}

int32_t pi_system_open(const char *proc_root, pi_system **system, procinspect_error *error) {
    const char *path = proc_root == NULL ? "/proc" : proc_root;
    pi_system *opened = calloc(1, sizeof *opened);
    if (opened == NULL)
        return pi_error_no_memory(error);
    int32_t result = open_proc_root(path, &opened->proc, error);
    if (result == PROCINSPECT_OK)
        result = fill_system(opened, path, error);
    if (result != PROCINSPECT_OK) {
        pi_system_close(opened);
        return result;
    }
    *system = opened;
    return PROCINSPECT_OK;
}

void pi_system_close(pi_system *system) {
    if (system == NULL)
        return;
    pi_close(system->proc);
    free(system);
}
