/* SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "platform/linux/capture/copy.h"
#include "platform/linux/trace/helper_status.h"
#include "platform/linux/trace/helper_system_call.h"
#include "platform/linux/trace/stop_threads.h"

/* Which of the process's zombies are copies that were left behind. */

enum { TEXT_BYTES = 4096, NUMBERS_BYTES = 512 /* namespaces are nested 32 deep at most */ };

typedef struct zombie_search {
    pi_fork *fork;
    uint32_t namespaces; /* that the process has a number in, as far as /proc tells */
    bool has_mark;       /* the process itself has what marks copies */
    uint32_t count;
    int32_t pids[PI_COPY_MOST_OLD];
} zombie_search;

/* A file of any process's; its length, ended by a NUL. */
static long read_process_file(const pi_fork *fork, int32_t pid, const char *name,
                              char text[TEXT_BYTES]) {
    char path[PI_COPY_PATH_BYTES];
    pi_copy_path(path, pid, name);
    long file = pi_helper_open(fork->stop->helper, fork->proc, path, O_RDONLY);
    long length = file < 0 ? file : raw_read((int)file, text, TEXT_BYTES - 1);
    if (file >= 0)
        raw_close((int)file);
    text[length > 0 ? length : 0] = '\0';
    return length;
}

static bool has_mark(const pi_fork *fork, int32_t pid) {
    static const char mark[] = PI_COPY_OOM_MARK "\n";
    char text[TEXT_BYTES];
    size_t same = 0;
    read_process_file(fork, pid, "/oom_score_adj", text);
    while (mark[same] != '\0' && text[same] == mark[same])
        same++;
    return mark[same] == '\0';
}

/* The number at *at, which moves behind it and the blank after it. */
static int32_t take_number(const char **at) {
    int32_t number = 0;
    for (; **at >= '0' && **at <= '9' && number < INT32_MAX / 10; ++*at)
        number = number * 10 + (**at - '0');
    if (**at == ' ' || **at == '\t')
        ++*at;
    return number;
}

/* A field of stat behind the state; these have no blanks. */
static int32_t field_of(const char *state, int field) {
    enum { STATE_FIELD = 3 };
    for (int at = STATE_FIELD; at < field; at++) {
        while (*state != ' ' && *state != '\0')
            state++;
        state += *state == ' ';
    }
    return take_number(&state);
}

static bool is_old_copy(const zombie_search *search, int32_t pid) {
    enum {
        FIELD_GROUP = 5,
        FIELD_EXIT_SIGNAL = 38,
        FIELD_EXIT_CODE = 52,
        EXIT_STATUS_SHIFT = 8,
        SIGKILL_CODE = 9
    };
    char text[TEXT_BYTES];
    long at = read_process_file(search->fork, pid, "/stat", text) - 1;
    while (at > 0 && text[at] != ')') /* the name may hold one; no number does */
        at--;
    if (at <= 0 || text[at + 2] != 'Z' || field_of(text + at + 2, FIELD_EXIT_SIGNAL) != 0)
        return false;
    int32_t code = field_of(text + at + 2, FIELD_EXIT_CODE);
    if (code == PI_INJECT_ORPHAN_STATUS << EXIT_STATUS_SHIFT)
        return true;
    /* Where all its children have the mark, copies are told by their groups, which come later. */
    bool is_told = search->has_mark ? field_of(text + at + 2, FIELD_GROUP) == pid
                                    : has_mark(search->fork, pid);
    return code == SIGKILL_CODE && is_told;
}

/* Its number in the `level`-th pid namespace from ours; *count: how many there are. */
static int32_t number_in_namespace(const pi_fork *fork, int32_t pid, uint32_t level,
                                   uint32_t *count) {
    char path[PI_COPY_PATH_BYTES], numbers[NUMBERS_BYTES + 1];
    int32_t wanted = 0;
    *count = 0;
    pi_copy_path(path, pid, "/status");
    long file = pi_helper_open(fork->stop->helper, fork->proc, path, O_RDONLY);
    long length =
        file < 0 ? file : pi_helper_find_value((int)file, "NSpid", numbers, NUMBERS_BYTES);
    if (file >= 0)
        raw_close((int)file);
    numbers[length > 0 ? length : 0] = '\0';
    for (const char *at = numbers; *at >= '0' && *at <= '9';) {
        int32_t number = take_number(&at);
        wanted = ++*count == level ? number : wanted;
    }
    return wanted;
}

int32_t pi_copy_number_in_target(const pi_fork *fork) {
    uint32_t namespaces, count;
    number_in_namespace(fork, fork->stop->pid, 0, &namespaces);
    return number_in_namespace(fork, fork->copy_pid, namespaces, &count);
}

static void note_child(zombie_search *search, int32_t pid) {
    uint32_t count;
    if (search->count == PI_COPY_MOST_OLD || !is_old_copy(search, pid))
        return;
    int32_t number = number_in_namespace(search->fork, pid, search->namespaces, &count);
    if (number != 0)
        search->pids[search->count++] = number;
}

/* "12 345 ", where the kernel lists children. */
static pi_stop_result visit_parent(pi_stop *stop, const char *name, void *argument) {
    zombie_search *search = argument;
    char path[PI_COPY_PATH_BYTES], text[TEXT_BYTES];
    int32_t tid = pi_stop_parse_tid(name), pid = 0;
    if (tid == 0)
        return PI_STOP_OK;
    pi_copy_path(path, tid, "/children");
    long file = pi_helper_open(stop->helper, stop->task_directory, path, O_RDONLY);
    long length = 0;
    while (file >= 0 && (length = raw_read((int)file, text, sizeof text)) > 0)
        for (long i = 0; i < length; i++) {
            if (text[i] != ' ') {
                pid = pid * 10 + (text[i] - '0');
                continue;
            }
            note_child(search, pid);
            pid = 0;
        }
    if (file >= 0)
        raw_close((int)file);
    return PI_STOP_OK;
}

uint32_t pi_copy_reap_old(pi_fork *fork) {
    zombie_search search = {.fork = fork, .has_mark = has_mark(fork, fork->stop->pid)};
    number_in_namespace(fork, fork->stop->pid, 0, &search.namespaces);
    pi_stop_list(fork->stop, visit_parent, &search);
    return search.count == 0 ? 0 : pi_copy_reap(fork, search.pids, search.count, false);
}
