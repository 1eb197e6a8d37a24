/* SPDX-License-Identifier: MIT */
#include "platform/linux/trace/stop_threads.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/linux/trace/helper_status.h"
#include "platform/linux/trace/helper_system_call.h"

enum {
    SEIZE_ATTEMPTS = 3,
    PATH_BYTES = 48,
    UNKNOWN_STATE = '?',
    NUMBER_BYTES = 10,          /* as many digits as a pid may have */
    STAT_BYTES = 512,           /* enough for the name and the state behind it */
    SEIZED_BETWEEN_CHECKS = 256 /* threads, between two looks whether the host still wants it */
};

int32_t pi_stop_parse_tid(const char *name) {
    int32_t tid = 0;
    for (; *name >= '0' && *name <= '9' && tid < INT32_MAX / 10; name++)
        tid = tid * 10 + (*name - '0');
    return *name == '\0' ? tid : 0;
}

/* Where the next letter goes. */
static char *put_tid(char *at, int32_t tid) {
    char digits[12];
    unsigned count = 0;
    for (; tid > 0; tid /= 10)
        digits[count++] = (char)('0' + tid % 10);
    while (count > 0)
        *at++ = digits[--count];
    *at = '\0';
    return at;
}

/* "1234/stat", a file of at most 32 letters */
static void file_path(char path[PATH_BYTES], int32_t tid, const char *file) {
    path = put_tid(path, tid);
    *path++ = '/';
    while (*file != '\0')
        *path++ = *file++;
    *path = '\0';
}

long pi_stop_read_thread_file(const pi_stop *stop, int32_t tid, const char *name, char *text,
                              size_t capacity) {
    char path[PATH_BYTES];
    file_path(path, tid, name);
    long file = pi_helper_open(stop->helper, stop->task_directory, path, O_RDONLY);
    if (file < 0)
        return file;
    long length = raw_read((int)file, text, capacity);
    raw_close((int)file);
    return length;
}

long pi_stop_find_status_value(const pi_stop *stop, int32_t tid, const char *key, char *value,
                               size_t capacity) {
    char path[PATH_BYTES];
    file_path(path, tid, "status");
    long file = pi_helper_open(stop->helper, stop->task_directory, path, O_RDONLY);
    if (file < 0)
        return file;
    long length = pi_helper_find_value((int)file, key, value, capacity);
    raw_close((int)file);
    return length;
}

long pi_stop_read_thread_link(const pi_stop *stop, int32_t tid, const char *name, char *target,
                              size_t capacity) {
    char path[PATH_BYTES];
    file_path(path, tid, name);
    return raw_call(SYS_readlinkat, stop->task_directory, (long)path, (long)target, (long)capacity);
}

char pi_stop_os_state(const pi_stop *stop, int32_t tid) {
    char text[STAT_BYTES];
    long length = pi_stop_read_thread_file(stop, tid, "stat", text, sizeof text);
    if (length < 0)
        return length == -ENOENT || length == -ESRCH ? 0 : UNKNOWN_STATE;
    /* The name may hold a parenthesis; no number behind it does. */
    for (long at = length - 3; at > 0; at--)
        if (text[at] == ')')
            return text[at + 2];
    return 0;
}

/* The slot that holds this tid, or the free one where it belongs. */
static uint32_t *find_slot(const pi_stop *stop, int32_t tid) {
    uint32_t mask = stop->slot_count - 1;
    uint32_t at = (uint32_t)tid * UINT32_C(2654435769) & mask;
    while (stop->slots[at] != 0 && stop->threads[stop->slots[at] - 1].tid != tid)
        at = (at + 1) & mask;
    return &stop->slots[at];
}

static bool has_ended(const pi_stop *stop, int32_t tid) {
    char state = pi_stop_os_state(stop, tid);
    return state == 0 || state == 'Z' || state == 'X';
}

/* Who traces the thread, 0 for nobody. */
static int32_t tracer_of(const pi_stop *stop, int32_t tid) {
    char digits[NUMBER_BYTES];
    int32_t pid = 0;
    long length = pi_stop_find_status_value(stop, tid, "TracerPid", digits, sizeof digits);
    for (long at = 0; at < length && digits[at] >= '0' && digits[at] <= '9'; at++)
        pid = pid * 10 + (digits[at] - '0');
    return pid;
}

/* 0, or a negative errno; 1 where the thread has ended. */
static long try_to_seize(pi_stop *stop, int32_t tid) {
    long result = raw_ptrace(PTRACE_SEIZE, tid, 0, 0);
    /* What has ended is refused like what is protected: a main thread stays until the others end,
     * or one of them takes its number over in execve. */
    for (int i = 0; i < SEIZE_ATTEMPTS && result == -EPERM; i++) {
        if (has_ended(stop, tid))
            return 1;
        /* Asked at once: another dump's helper leaves soon. */
        stop->refused_tracer_pid = tracer_of(stop, tid);
        if (stop->refused_tracer_pid != 0)
            return result;
        result = raw_ptrace(PTRACE_SEIZE, tid, 0, 0);
    }
    return result == -ESRCH ? 1 : result;
}

/* A main thread that had ended, and runs: another one has its number, and another program. */
static bool was_replaced(const pi_stop *stop, const pi_stop_thread *thread) {
    return thread->tid == stop->pid && thread->state == PI_STOP_ENDED &&
           !has_ended(stop, thread->tid);
}

/* A number is seized, not a thread: where the one that was listed has ended since, it may be
 * another process's. While we trace it nobody else can come to have it. */
static bool is_of_process(const pi_stop *stop, const char *name) {
    return raw_call(SYS_faccessat, stop->task_directory, (long)name, F_OK, 0) != -ENOENT;
}

static pi_stop_result seize(pi_stop *stop, const char *name, uint32_t *added) {
    int32_t tid = pi_stop_parse_tid(name);
    if (tid == 0)
        return PI_STOP_OK;
    uint32_t *slot = find_slot(stop, tid);
    if (*slot != 0)
        return was_replaced(stop, &stop->threads[*slot - 1]) ? PI_STOP_GONE : PI_STOP_OK;
    if (stop->count == stop->capacity) {
        stop->is_full = 1;
        return PI_STOP_OK;
    }
    long result = try_to_seize(stop, tid);
    if (result == 0 && !is_of_process(stop, name)) {
        pi_stop_let_go(stop, tid);
        result = 1;
    }
    if (tid == stop->pid)
        stop->has_dead_main = result == 1;
    if (result == 1)
        return PI_STOP_OK;
    if (result < 0) {
        stop->refused_tid = tid;
        stop->refused_errno = (int32_t)-result;
        return PI_STOP_REFUSED;
    }
    stop->threads[stop->count] = (pi_stop_thread){tid, PI_STOP_SEIZED, 0, 0, 0};
    stop->count++;
    *slot = stop->count;
    ++*added;
    return PI_STOP_OK;
}

pi_stop_result pi_stop_list(pi_stop *stop,
                            pi_stop_result (*visit)(pi_stop *stop, const char *name,
                                                    void *argument),
                            void *argument) {
    raw_call(SYS_lseek, stop->task_directory, 0, SEEK_SET, 0);
    for (;;) {
        long length = raw_call(SYS_getdents64, stop->task_directory, (long)stop->entries,
                               PI_STOP_ENTRIES_BYTES, 0);
        if (length <= 0)
            return PI_STOP_OK; /* the end; or the process has ended, which a wait will tell */
        const raw_directory_entry *entry;
        for (long at = 0; at < length; at += entry->length) {
            entry = (const raw_directory_entry *)(const void *)(stop->entries + at);
            pi_stop_result result = visit(stop, entry->name, argument);
            if (result != PI_STOP_OK)
                return result;
        }
    }
}

static pi_stop_result seize_listed(pi_stop *stop, const char *name, void *added) {
    uint32_t *count = added;
    pi_stop_result result = seize(stop, name, count);
    if (result == PI_STOP_OK && *count % SEIZED_BETWEEN_CHECKS == 1 &&
        pi_helper_must_stop(stop->helper))
        return PI_STOP_MUST_END;
    return result;
}

pi_stop_result pi_stop_seize_new(pi_stop *stop, uint32_t *added) {
    *added = 0;
    return pi_stop_list(stop, seize_listed, added);
}

pi_stop_result pi_stop_seize_one(pi_stop *stop, int32_t tid) {
    char name[PATH_BYTES];
    uint32_t added = 0;
    put_tid(name, tid);
    return seize(stop, name, &added);
}

/*
 * The kernel counts the threads in the directory's link count, which costs one call instead of
 * reading thousands of names while everything stands. And it is the whole truth: a reader of names
 * can miss the threads behind one that ends meanwhile.
 */
bool pi_stop_has_all(const pi_stop *stop) {
    struct stat status = {0};
    enum { LINKS_OF_AN_EMPTY_DIRECTORY = 2 };
    uint64_t known = (uint64_t)stop->standing + stop->running + stop->has_dead_main;
    return raw_call(SYS_fstat, stop->task_directory, (long)&status, 0, 0) == 0 &&
           status.st_nlink == known + LINKS_OF_AN_EMPTY_DIRECTORY;
}
