/* SPDX-License-Identifier: MIT */
#include "platform/linux/living.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"

enum { MAX_TURNS = 8, MAX_PASSES = 16, MOST_THREADS = 1000000, PATH_SIZE = 64 };

static bool is_shortage(int result) {
    int32_t code = pi_error_code_of_errno(-result);
    return result != 0 &&
           (code == PROCINSPECT_ERROR_NO_RESOURCES || code == PROCINSPECT_ERROR_NO_MEMORY);
}

/* 0 where the thread lives, -ESRCH where it doesn't, or a shortage. *state as long as it lives. */
static int look_at(int directory, const char *prefix, int32_t tid, char *state) {
    char path[PATH_SIZE];
    pi_stat_text text;
    pi_stat stat;
    snprintf(path, sizeof path, "%stask/%d/stat", prefix, (int)tid);
    int result = pi_stat_read(directory, path, &text, &stat);
    if (is_shortage(result))
        return result;
    if (result != 0 || pi_stat_is_dead(&stat) || stat.has_begun_to_end)
        return -ESRCH;
    *state = stat.state;
    return 0;
}

static bool has_newcomer(const pi_numbers *tids, const pi_numbers *before) {
    size_t k = 0;
    for (size_t i = 0; i < tids->count; i++) {
        while (k < before->count && before->items[k] < tids->items[i])
            k++;
        if (k == before->count || before->items[k] != tids->items[i])
            return true;
    }
    return false;
}

/* The first of these that lives. As look_at. */
static int find_among(int directory, const char *prefix, const pi_numbers *tids, int32_t *tid,
                      char *state) {
    int result = -ESRCH;
    for (size_t i = 0; i < tids->count && result == -ESRCH; i++) {
        *tid = tids->items[i];
        result = look_at(directory, prefix, *tid, state);
    }
    return result;
}

/* Of a process whose listed threads have all ended: are these all that there are? A listing can
 * miss those behind one that goes meanwhile, the one in execve above all. */
static bool has_ended(int directory, const char *prefix, const pi_numbers *tids) {
    char path[PATH_SIZE];
    pi_stat_text text;
    pi_stat stat;
    snprintf(path, sizeof path, "%sstat", prefix);
    int result = pi_stat_read(directory, path, &text, &stat);
    if (result == -ESRCH || result == -ENOENT)
        return true;
    return result == 0 && (stat.has_begun_to_end || pi_stat_is_dead(&stat)) &&
           stat.thread_count != 0 && stat.thread_count <= tids->count;
}

/*
 * A living thread of the process; -ESRCH where the process is about to end: all of its threads are,
 * and none is new. -EAGAIN where there was a new one each time, which had ended before it could be
 * looked at.
 */
static int find(int directory, const char *prefix, int32_t *tid, char *state) {
    char path[PATH_SIZE];
    pi_numbers tids = {0}, before = {0};
    snprintf(path, sizeof path, "%stask", prefix);
    int result = -EAGAIN;
    bool seems_ended = false; /* the thread that was listed may have started one since */
    for (int pass = 0; pass < MAX_PASSES && result == -EAGAIN; pass++) {
        bool seemed_ended = seems_ended;
        result = pi_proc_read_numbers(directory, path, MOST_THREADS, &tids);
        if (result != 0)
            result = is_shortage(result) ? result : -ESRCH;
        else
            result = find_among(directory, prefix, &tids, tid, state);
        seems_ended = result == -ESRCH && pass != 0 && !has_newcomer(&tids, &before) &&
                      has_ended(directory, prefix, &tids);
        if (result == -ESRCH && !(seems_ended && seemed_ended))
            result = -EAGAIN;
        free(before.items);
        before = tids;
        tids = (pi_numbers){0};
    }
    free(before.items);
    return result;
}

/* The main thread has taken over again: a program that another thread executed has its number. */
static int turn_back(pi_living *living) {
    if (living->tid == 0)
        return PI_LIVING_STANDS;
    living->tid = 0;
    living->turns++;
    return PI_LIVING_TURNED;
}

int pi_living_turn(int directory, const char *prefix, pi_living *living) {
    char path[PATH_SIZE];
    pi_stat_text text;
    snprintf(path, sizeof path, "%sstat", prefix);
    int result = pi_stat_read(directory, path, &text, &living->main);
    living->main_result = result;
    if (result != 0)
        return is_shortage(result) ? result : PI_LIVING_STANDS;
    bool is_lost = pi_stat_has_lost_main_thread(&living->main);
    if (!is_lost && living->turns < MAX_TURNS)
        return turn_back(living);
    pi_living found = *living;
    if (living->tid != 0) {
        result = look_at(directory, prefix, living->tid, &living->state);
        if (result != -ESRCH)
            return result; /* it lives: 0 */
    } else if (!is_lost) {
        return PI_LIVING_STANDS;
    }
    result = find(directory, prefix, &found.tid, &found.state);
    if (result == -ESRCH)
        return PI_LIVING_STANDS; /* the process is about to end */
    if (result != 0)
        return result;
    if (found.turns++ == MAX_TURNS)
        return -EAGAIN;
    *living = found;
    return PI_LIVING_TURNED;
}

static int open_files(const pi_process *process, const pi_living *living, pi_process *files) {
    pi_living_close(process, files);
    if (living->tid == 0)
        return 0;
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "task/%d", (int)living->tid);
    int directory;
    do
        directory =
            openat(process->directory, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    while (directory < 0 && errno == EINTR);
    if (directory < 0)
        return -errno;
    files->directory = directory;
    return 0;
}

int32_t pi_living_turn_process(const pi_process *process, pi_living *living, pi_process *files,
                               procinspect_error *error) {
    int result;
    bool is_open;
    do {
        result = pi_living_turn(process->directory, "", living);
        if (result == PI_LIVING_STANDS)
            return PI_LIVING_STANDS;
        int opened = result == PI_LIVING_TURNED ? open_files(process, living, files) : 0;
        is_open = opened == 0;
        if (is_shortage(opened))
            result = opened;
    } while (result == PI_LIVING_TURNED && !is_open);
    if (result == -EAGAIN)
        return pi_error_set(error, PROCINSPECT_ERROR_IO, EAGAIN,
                            "The main thread of process %d has ended, and the threads that were "
                            "asked in its place ended one after the other; try again.",
                            (int)process->pid);
    return result < 0 ? pi_process_failed(process, "task", -result, error) : PI_LIVING_TURNED;
}

void pi_living_close(const pi_process *process, pi_process *files) {
    if (files->directory != process->directory)
        pi_close(files->directory);
    files->directory = process->directory;
}

bool pi_living_may_help(int32_t code) {
    return code != PROCINSPECT_ERROR_NO_MEMORY && code != PROCINSPECT_ERROR_NO_RESOURCES &&
           code != PROCINSPECT_ERROR_TOO_LARGE;
}

bool pi_living_has_any(const pi_process *process) {
    int32_t tid;
    char state;
    return find(process->directory, "", &tid, &state) != -ESRCH;
}

int32_t pi_living_check(const pi_process *process, procinspect_error *error) {
    int32_t code = pi_process_check(process, error);
    if (code == PROCINSPECT_OK && !pi_living_has_any(process))
        return pi_error_set(error, PROCINSPECT_ERROR_GONE, ESRCH,
                            "Process %d ended while it was captured; list the processes again.",
                            (int)process->pid);
    return code;
}
