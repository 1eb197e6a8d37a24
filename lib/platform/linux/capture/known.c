/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/known.h"

#include <errno.h>
#include <stdio.h>

#include "platform/linux/capture/parts.h"

/* More than any status has: its longest line, of a thread's groups, has 65,536 numbers. */
enum { LARGEST_STATUS = 1024 * 1024 };

static uint64_t members_for(bool with_info) {
    uint64_t members =
        PROCINSPECT_THREAD_NAME | PROCINSPECT_THREAD_STATE | PROCINSPECT_THREAD_PRIORITY;
    if (with_info)
        members |= PROCINSPECT_THREAD_START_TIME | PROCINSPECT_THREAD_CPU_TIME;
    return members;
}

/* 0 or -ENOMEM, -EMFILE …; of a thread that has ended it isn't known. */
static int read_affinity(const pi_process *process, int32_t tid, pi_buffer *buffer,
                         pi_affinity *affinity) {
    char path[32];
    snprintf(path, sizeof path, "task/%d/status", (int)tid);
    int result = pi_proc_read_bytes(process->directory, path, buffer, LARGEST_STATUS);
    if (result == 0)
        *affinity = pi_affinity_parse(buffer->data, buffer->length);
    return pi_is_exhaustion(-result) ? result : 0;
}

static int32_t read_affinities(const pi_process *process, pi_arena *arena, pi_known_threads *known,
                               procinspect_error *error) {
    size_t count = known->list.count;
    pi_affinity *affinities = pi_arena_alloc_array(arena, count + 1, sizeof *affinities);
    if (affinities == NULL)
        return pi_capture_exhausted(arena, error);
    pi_buffer buffer = {0};
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = read_affinity(process, known->list.items[i]->tid, &buffer, &affinities[i]);
    pi_buffer_free(&buffer);
    if (result != 0)
        return pi_process_failed(process, "task/TID/status", -result, error);
    known->affinities = affinities;
    return PROCINSPECT_OK;
}

int32_t pi_known_threads_read(const pi_process *process, bool with_info, pi_arena *arena,
                              pi_known_threads *known, procinspect_error *error) {
    int32_t code = pi_threads_read(process, 0, members_for(with_info), arena, &known->list, error);
    if (code == PROCINSPECT_OK && with_info)
        code = read_affinities(process, arena, known, error);
    return code;
}

static pi_known_thread read_late(const pi_process *process, bool with_info, int32_t tid,
                                 pi_arena *arena) {
    pi_known_thread found = {0};
    procinspect_thread_list late;
    if (pi_threads_read(process, tid, members_for(with_info), arena, &late, NULL) !=
            PROCINSPECT_OK ||
        late.count != 1)
        return found;
    found.info = late.items[0];
    pi_buffer buffer = {0};
    if (with_info)
        read_affinity(process, tid, &buffer, &found.affinity);
    pi_buffer_free(&buffer);
    return found;
}

pi_known_thread pi_known_threads_find(const pi_process *process, const pi_known_threads *known,
                                      bool with_info, int32_t tid, pi_arena *arena) {
    const procinspect_thread_list *list = &known->list;
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->items[middle]->tid < tid)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == list->count || list->items[low]->tid != tid)
        return read_late(process, with_info, tid, arena);
    pi_known_thread found = {.info = list->items[low]};
    if (known->affinities != NULL)
        found.affinity = known->affinities[low];
    return found;
}
