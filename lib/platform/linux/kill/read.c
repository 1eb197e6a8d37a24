/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sys/stat.h>

#include "platform/linux/kill/tree.h"
#include "platform/linux/trace/helper_status.h"
#include "platform/linux/trace/helper_system_call.h"

/* What the helper reads of /proc, without libc. */

/* include/linux/sched.h; part of the layout of stat's field 9. */
#define PF_KTHREAD UINT64_C(0x00200000)

enum {
    PATH_CAPACITY = 64,
    FILE_CAPACITY = 2048,
    NUMBER_CAPACITY = 12,
    ENTRIES_CAPACITY = 8192,
    EVENTS_INTERVAL = 32,
    MOST_MISLED = 8
};

static const uint64_t replacement_limit_ns = UINT64_C(1000000000); /* of moments, mostly */

static char *put_text(char *at, const char *text) {
    while (*text != '\0')
        *at++ = *text++;
    *at = '\0';
    return at;
}

static char *put_number(char *at, int32_t number) {
    char digits[12];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count != 0)
        *at++ = digits[--count];
    *at = '\0';
    return at;
}

static long read_file(const pi_kill_tree *tree, const char *path, char *bytes, size_t capacity) {
    long file = raw_open(tree->proc, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return file;
    long length = raw_read((int)file, bytes, capacity);
    raw_close((int)file);
    return length;
}

long pi_kill_read_file(const pi_kill_tree *tree, int32_t pid, const char *name, char *bytes,
                       size_t capacity) {
    char path[PATH_CAPACITY];
    put_text(put_number(path, pid), name);
    return read_file(tree, path, bytes, capacity);
}

long pi_kill_read_maps(pi_kill_tree *tree, int32_t pid) {
    char path[PATH_CAPACITY];
    put_text(put_number(path, pid), "/maps");
    long file = raw_open(tree->proc, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return file;
    size_t length = 0;
    long got;
    do {
        got = raw_read((int)file, tree->maps + length, sizeof tree->maps - length);
        length += got > 0 ? (size_t)got : 0;
    } while (got > 0 && length < sizeof tree->maps);
    raw_close((int)file);
    return got < 0 ? got : (long)length;
}

/* The number at *at and the separator behind it; a '-' is skipped, no such field matters here. */
static uint64_t take_number(const char **at, const char *end) {
    uint64_t number = 0;
    if (*at < end && **at == '-')
        ++*at;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at)
        number = number * 10 + (uint64_t)(**at - '0');
    if (*at < end)
        ++*at;
    return number;
}

static void skip_fields(const char **at, const char *end, int count) {
    for (; count != 0 && *at < end; ++*at)
        if (**at == ' ')
            count--;
}

/* The file is the kernel's: what has to be withstood is the name in it. It may hold parentheses,
 * spaces and newlines; nothing behind it can. */
static bool parse_stat(const char *bytes, const char *end, pi_kill_process *process) {
    const char *name = bytes, *name_end = end;
    while (name < end && *name++ != '(')
        ;
    while (name_end > name && *--name_end != ')')
        ;
    if (name_end <= name || end - name_end < 5)
        return false;
    size_t length = 0;
    for (; name + length < name_end && length < sizeof process->name - 1; length++)
        process->name[length] = name[length];
    process->name[length] = '\0';
    process->state = name_end[2];
    const char *at = name_end + 4;
    process->parent_pid = (int32_t)take_number(&at, end);
    skip_fields(&at, end, 1);
    process->session_id = (int32_t)take_number(&at, end);
    skip_fields(&at, end, 2);
    uint64_t flags = take_number(&at, end);
    process->is_kernel_thread = (flags & PF_KTHREAD) != 0;
    skip_fields(&at, end, 10);
    process->thread_count = (uint32_t)take_number(&at, end);
    skip_fields(&at, end, 1);
    process->start_ticks = take_number(&at, end);
    return at < end;
}

/* Its first thread has been let go of: it has ended, and is gone the next time, or another thread
 * that executes a program is about to take its place. Its parent and session aren't told then. */
static bool is_between_threads(const pi_kill_process *process) {
    return process->thread_count == 0 || process->state == 'X';
}

static bool is_gone(long result) {
    return result == -ENOENT || result == -ESRCH;
}

/* A name that is looked up for the first time while another thread of its process takes the first
 * one's place may lead to the one that goes, and then to nobody (Linux 6.18: twice in 138,000),
 * though the process is there as ever. */
static long read_stat(const pi_kill_tree *tree, int32_t pid, char bytes[FILE_CAPACITY]) {
    long length = pi_kill_read_file(tree, pid, "/stat", bytes, FILE_CAPACITY);
    for (int misled = 0; is_gone(length) && misled < MOST_MISLED; misled++) {
        if (raw_call(SYS_kill, pid, 0, 0, 0) == -ESRCH)
            return length;
        length = pi_kill_read_file(tree, pid, "/stat", bytes, FILE_CAPACITY);
    }
    return length;
}

int pi_kill_read_process(const pi_kill_tree *tree, int32_t pid, pi_kill_process *process) {
    char bytes[FILE_CAPACITY];
    uint64_t until = 0;
    do {
        long length = read_stat(tree, pid, bytes);
        if (length < 0)
            return (int)length;
        process->pid = pid;
        if (!parse_stat(bytes, bytes + length, process))
            return -ESRCH;
        if (!is_between_threads(process))
            return 0;
        if (until == 0)
            until = raw_now_ns() + replacement_limit_ns;
    } while (raw_now_ns() < until);
    return -EAGAIN;
}

/* As getdents64 gives it. */
typedef struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    unsigned char type;
    char name[];
} entry;

/* A directory of numbers. */
typedef struct numbers {
    int directory;
    long length;
    long at;
    int error;
    char entries[ENTRIES_CAPACITY] __attribute__((aligned(8)));
} numbers;

static int open_numbers(const pi_kill_tree *tree, const char *path, numbers *list) {
    long directory = raw_open(tree->proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    list->directory = (int)directory;
    list->length = 0;
    list->at = 0;
    list->error = 0;
    return directory < 0 ? (int)directory : 0;
}

static int32_t number_of(const char *name) {
    int64_t number = 0;
    for (; *name >= '0' && *name <= '9' && number <= INT32_MAX; name++)
        number = number * 10 + (*name - '0');
    return *name == '\0' && number <= INT32_MAX ? (int32_t)number : 0;
}

/* The next one; 0 behind the last, which closes the directory. */
static int32_t next_number(numbers *list) {
    for (;;) {
        if (list->at >= list->length) {
            list->length = raw_call(SYS_getdents64, list->directory, (long)list->entries,
                                    sizeof list->entries, 0);
            list->at = 0;
            if (list->length <= 0) {
                list->error = (int)list->length;
                raw_close(list->directory);
                return 0;
            }
        }
        const entry *each = (const entry *)(const void *)(list->entries + list->at);
        list->at += each->length;
        int32_t number = number_of(each->name);
        if (number > 0)
            return number;
    }
}

int pi_kill_read_all(pi_kill_tree *tree) {
    numbers pids;
    int result = open_numbers(tree, ".", &pids);
    if (result != 0)
        return result;
    tree->process_count = 0;
    tree->missed_some = false;
    int32_t pid;
    while ((pid = next_number(&pids)) != 0) {
        if (tree->process_count == PI_KILL_MAX_PROCESSES) {
            raw_close(pids.directory);
            return -E2BIG;
        }
        if (tree->process_count % EVENTS_INTERVAL == 0)
            pi_kill_read_events(tree);
        if (pi_kill_read_process(tree, pid, &tree->processes[tree->process_count]) != 0) {
            tree->missed_some = true;
        } else {
            if (tree->is_read) /* at once: it may not live for long */
                pi_kill_note_process(tree, &tree->processes[tree->process_count]);
            tree->process_count++;
        }
    }
    return pids.error;
}

static long read_thread_file(const pi_kill_tree *tree, int32_t pid, int32_t tid, const char *name,
                             char bytes[FILE_CAPACITY]) {
    char path[PATH_CAPACITY];
    put_text(put_number(put_text(put_number(path, pid), "/task/"), tid), name);
    return read_file(tree, path, bytes, FILE_CAPACITY);
}

char pi_kill_thread_state(const pi_kill_tree *tree, int32_t pid, int32_t tid) {
    char bytes[FILE_CAPACITY];
    pi_kill_process thread;
    long length = read_thread_file(tree, pid, tid, "/stat", bytes);
    if (length < 0)
        return is_gone(length) ? 'X' : '?';
    return parse_stat(bytes, bytes + length, &thread) ? thread.state : 'X';
}

static uint64_t take_hexadecimal(const char *at, const char *end) {
    uint64_t number = 0;
    for (; at < end && *at != ' ' && *at != '\n'; at++)
        number = number * 16 + (uint64_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
    return number;
}

/* What /proc says of the call that a thread sleeps in: its number and, behind "0x", the arguments.
 * clone3's are in its memory, which can't be read while it is copied, and libc forks with clone. */
static bool is_fork(const char *at, const char *end) {
    if (at < end && *at == 'r') /* "running": awake again */
        return true;
    uint64_t number = take_number(&at, end);
    uint64_t argument = end - at > 2 ? take_hexadecimal(at + 2, end) : 0;
    switch (number) {
    case SYS_fork:
        return true;
    case SYS_clone:
        return (argument & CLONE_VFORK) == 0;
    default:
        return false;
    }
}

bool pi_kill_may_be_forking(pi_kill_tree *tree, int32_t pid, int32_t tid) {
    char bytes[FILE_CAPACITY];
    pi_kill_arm_watchdog(tree);
    long length = read_thread_file(tree, pid, tid, "/syscall", bytes);
    bool is_forking = length > 0 && is_fork(bytes, bytes + length);
    pi_kill_disarm_watchdog(tree);
    return is_forking;
}

bool pi_kill_each_thread(pi_kill_tree *tree, int32_t pid,
                         bool (*visit)(pi_kill_tree *tree, int32_t pid, int32_t tid)) {
    char path[PATH_CAPACITY];
    numbers tids;
    tree->listed_thread_count = 0;
    put_text(put_number(path, pid), "/task");
    int result = open_numbers(tree, path, &tids);
    if (result != 0)
        return is_gone(result);
    int32_t tid;
    for (; (tid = next_number(&tids)) != 0; tree->listed_thread_count++)
        if (!visit(tree, pid, tid)) {
            raw_close(tids.directory);
            return false;
        }
    return tids.error == 0 || is_gone(tids.error);
}

uint32_t pi_kill_count_threads(const pi_kill_tree *tree, int32_t pid) {
    enum { LINKS_OF_DIRECTORY = 2 }; /* and one for each thread */
    char path[PATH_CAPACITY];
    struct stat about = {.st_nlink = LINKS_OF_DIRECTORY};
    put_text(put_number(path, pid), "/task");
    raw_call(SYS_newfstatat, tree->proc, (long)path, (long)&about, 0);
    return (uint32_t)about.st_nlink - LINKS_OF_DIRECTORY;
}

static bool is_dead_thread(pi_kill_tree *tree, int32_t pid, int32_t tid) {
    return pi_kill_thread_state(tree, pid, tid) == 'Z';
}

bool pi_kill_has_ended(pi_kill_tree *tree, int32_t pid) {
    pi_kill_process process;
    int result = pi_kill_read_process(tree, pid, &process);
    if (result != 0)
        return is_gone(result);
    if (process.state != 'Z' || process.thread_count == 1)
        return process.state == 'Z';
    /* The first thread may have ended before the others. One of them may take its place in execve
     * just now, and both be seen as the dead one; it is the first then. */
    return pi_kill_each_thread(tree, pid, is_dead_thread) &&
           tree->listed_thread_count >= process.thread_count && is_dead_thread(tree, pid, pid);
}

int32_t pi_kill_read_status(const pi_kill_tree *tree, int32_t tid, const char *key) {
    char path[PATH_CAPACITY], digits[NUMBER_CAPACITY];
    put_text(put_number(path, tid), "/status");
    long file = raw_open(tree->proc, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0)
        return -1;
    long length = pi_helper_find_value((int)file, key, digits, sizeof digits);
    raw_close((int)file);
    const char *at = digits;
    return length <= 0 ? -1 : (int32_t)take_number(&at, digits + length);
}

int pi_kill_read_owner(const pi_kill_tree *tree, int32_t pid, uint32_t *user_id) {
    char path[PATH_CAPACITY];
    struct stat about = {0};
    put_number(path, pid);
    long result = raw_call(SYS_newfstatat, tree->proc, (long)path, (long)&about, 0);
    if (result == 0)
        *user_id = about.st_uid;
    return (int)result;
}
