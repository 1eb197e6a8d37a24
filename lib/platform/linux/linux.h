/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_LINUX_H
#define PI_PLATFORM_LINUX_LINUX_H

#include <sys/types.h>

#include "base/io.h"
#include "platform/linux/stat.h"
#include "platform/platform.h"

/* What the files of this folder share: the two handles behind platform.h, and how /proc is read. */

struct pi_system {
    int proc;     /* the proc root, O_PATH: whoever walks it opens "." for an offset of his own */
    bool is_live; /* it is the /proc of this process's own pid namespace */
    int64_t
        boot_unix_ns; /* when the system was booted, by the clock as it was when this was opened */
    uint64_t tick_ns; /* the unit of times in stat files */
};

struct pi_process {
    const pi_system *system;
    int32_t pid;
    int directory;        /* PID below the proc root: never leads to a later owner of the number */
    int pidfd;            /* -1 where the system is not live, or the kernel has no pidfds for us */
    uint64_t start_ticks; /* since boot */
};

/*
 * Reads a file that the kernel produces in one piece (stat, status, syscall) with one read; -1 and
 * errno. What doesn't fit is cut, which the parsers notice.
 */
ssize_t pi_proc_read_once(int directory, const char *path, char *buffer, size_t capacity);

/*
 * Reads a file of which a short read is the end (cmdline, environ; not maps), up to limit bytes,
 * into the reused buffer. 0 or a negative errno.
 */
int pi_proc_read_bytes(int directory, const char *path, pi_buffer *buffer, size_t limit);

/* Too few descriptors or too little memory: ends a call, where another failure is an answer. */
bool pi_is_exhaustion(int os_errno);

/* Writes "NUMBER" and then `file` with its NUL, "1234" "/stat", say: a listing does so for each
 * process, and printf would take as long as parsing the file. Returns the length. */
enum { PI_NUMBER_PATH_SIZE = 32 };
size_t pi_proc_number_path(char path[PI_NUMBER_PATH_SIZE], int32_t number, const char *file);

/* The numbers among the names of a directory, ascending: processes, threads, descriptors.
 * malloc'ed. */
typedef struct pi_numbers {
    int32_t *items;
    size_t count;
} pi_numbers;

/* Opens `path` (relative to directory) and collects at most `limit` numbers from it: -E2BIG where
 * there are more. Returns 0 or a negative errno. The caller frees numbers->items. */
int pi_proc_read_numbers(int directory, const char *path, size_t limit, pi_numbers *numbers);

/* The stat file below `directory`, by its path there; room for it, which *stat points into. */
enum { PI_STAT_CAPACITY = 2048 };
typedef struct pi_stat_text {
    char bytes[PI_STAT_CAPACITY];
} pi_stat_text;
/* 0 or a negative errno; -EBADMSG where it is no stat file. */
int pi_stat_read(int directory, const char *path, pi_stat_text *text, pi_stat *stat);

/*
 * What a failed system call on a file of the process's directory means: GONE or REPLACED where the
 * process has ended, else PERMISSION, NO_RESOURCES, NO_MEMORY, NOT_FOUND or IO, with a message
 * about `file` and, where something can be done, what. Always negative.
 */
int32_t pi_process_failed(const pi_process *process, const char *file, int os_errno,
                          procinspect_error *error);

/* The process's stat, or GONE, REPLACED … */
int32_t pi_process_stat(const pi_process *process, pi_stat_text *text, pi_stat *stat,
                        procinspect_error *error);

/* Why nothing of memory, program and environment is known of a process that is a zombie. */
extern const char pi_zombie_reason[];

/* For who found no memory: 0 where the process is one that has none (a zombie, a kernel thread) or
 * lives on, GONE where it is in the middle of its end, else as pi_process_check. */
int32_t pi_process_check_memory(const pi_process *process, procinspect_error *error);

/* Since boot: whatever starts from now on has a start_ticks that is not smaller. */
uint64_t pi_ticks_now(const pi_system *system);
/* Ticks since boot or of CPU time in nanoseconds, saturating. */
uint64_t pi_ticks_to_ns(const pi_system *system, uint64_t ticks);
/* The instant that many ticks after boot, in nanoseconds since 1970, saturating. */
int64_t pi_ticks_to_unix_ns(const pi_system *system, uint64_t ticks);

#endif
