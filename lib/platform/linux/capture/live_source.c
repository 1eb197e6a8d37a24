/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/live_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "platform/linux/capture/memory_file.h"
#include "platform/linux/capture/source.h"

typedef struct live_source {
    pi_memory_source source; /* first: what is handed out is a pointer to it */
    pi_memory_source *held;
    int file; /* mem, of the program that was captured */
    int32_t pid;
    const pi_memory_range *ranges; /* of the dump */
    size_t range_count;
    size_t held_count;
    pi_memory_range held_ranges[];
} live_source;

uint64_t pi_live_bytes(const pi_hold *hold) {
    return hold->memory_bytes - hold->plan.total_bytes;
}

static int32_t lost(const live_source *live, procinspect_error *error) {
    return pi_error_set(error, PROCINSPECT_ERROR_IO, 0,
                        "Process %d ended, or ran another program (execve), before its live dump "
                        "was read; read faster, or take a dump by copy.",
                        (int)live->pid);
}

/* A page that isn't there any more, or can't be read, is zero. */
static int32_t read_running(const live_source *live, uint64_t address, unsigned char *to,
                            size_t length, procinspect_error *error) {
    bool is_gone = pi_memory_file_read(live->file, address, to, length) == PI_MEMORY_READ_NOTHING;
    return is_gone ? lost(live, error) : PROCINSPECT_OK;
}

static int32_t read_bytes(const pi_memory_source *source, uint64_t address, void *buffer,
                          size_t length, procinspect_error *error) {
    const live_source *live = (const live_source *)(const void *)source;
    unsigned char *to = buffer;
    if (pi_memory_range_around(live->ranges, live->range_count, address, length) ==
        live->range_count)
        return pi_capture_not_held(address, length, error);
    int32_t code = PROCINSPECT_OK;
    while (length != 0 && code == PROCINSPECT_OK) {
        size_t at;
        size_t part =
            pi_memory_range_part(live->held_ranges, live->held_count, address, length, &at);
        code = at != live->held_count ? live->held->read(live->held, address, to, part, error)
                                      : read_running(live, address, to, part, error);
        address += part;
        to += part;
        length -= part;
    }
    return code;
}

static void release(pi_memory_source *source) {
    live_source *live = (live_source *)(void *)source;
    live->held->release(live->held);
    pi_close(live->file);
    free(live);
}

int32_t pi_live_source_new(pi_capture_work *work, pi_snapshot *snapshot, procinspect_error *error) {
    pi_hold *hold = &work->hold;
    size_t count = hold->plan.range_count;
    live_source *live = malloc(sizeof *live + count * sizeof live->held_ranges[0]);
    if (live == NULL)
        return pi_error_no_memory(error);
    *live = (live_source){.source = {read_bytes, release},
                          .file = hold->live_file,
                          .pid = snapshot->pid,
                          .ranges = snapshot->memory,
                          .range_count = snapshot->memory_count,
                          .held_count = count};
    memcpy(live->held_ranges, hold->plan.ranges, count * sizeof live->held_ranges[0]);
    live->held = pi_capture_source_new(hold->data, work->data_bytes, live->held_ranges, count);
    if (live->held == NULL) {
        free(live);
        return pi_error_no_memory(error);
    }
    work->data_bytes = 0;
    hold->live_file = -1;
    snapshot->source = &live->source;
    return PROCINSPECT_OK;
}
