/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/copy_source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "platform/linux/capture/by_copy.h"
#include "platform/linux/capture/memory_file.h"
#include "platform/linux/capture/source.h"

typedef struct copy_source {
    pi_memory_source source; /* first: what is handed out is a pointer to it */
    pi_capture_work *work;
    pi_helper_staying *staying;
    int pidfd;
    const pi_memory_range *ranges;
    size_t range_count;
    const pi_memory_range *held;
    size_t held_count;
    size_t held_offsets[]; /* of each range in hold.data */
} copy_source;

static int32_t lost(const pi_copy *copy, procinspect_error *error) {
    switch ((pi_copy_state)atomic_load(&copy->state)) {
    case PI_COPY_TOO_OLD:
        return pi_error_set(error, PROCINSPECT_ERROR_IO, 0,
                            "The dump ended before it was read: its copy of the process had lived "
                            "for max_copy_seconds; read faster, or raise that limit.");
    case PI_COPY_TOO_LARGE:
        return pi_error_set(error, PROCINSPECT_ERROR_IO, 0,
                            "The dump ended before it was read: the process had changed more of "
                            "its memory since than max_copy_growth_bytes allows the copy to take; "
                            "read faster, or raise that limit.");
    case PI_COPY_NONE:
    case PI_COPY_LIVES:
    case PI_COPY_WAS_KILLED:
        break;
    }
    return pi_error_set(error, PROCINSPECT_ERROR_IO, 0,
                        "The dump ended before it was read: its copy of the process was killed, as "
                        "the kernel does it first when memory runs out. Take another dump.");
}

int32_t pi_copy_choose(pi_hold *hold, procinspect_error *error) {
    pi_choice *choice = &hold->choice;
    pi_copy *copy = hold->copy;
    choice->maps = hold->maps;
    choice->maps_length = hold->maps_length;
    choice->pages = copy->record.copy_pages;
    choice->pages->helper = NULL;
    choice->pages->deadline_ns = 0;
    choice->record = &copy->record;
    choice->always = hold->plan.ranges;
    choice->always_count = hold->plan.range_count;
    pi_pages_begin(choice->pages, copy->pagemap_file);
    /* Of one that has ended no page seems to exist. */
    char byte;
    bool has_memory = pi_choice_make(choice) == 0 &&
                      (choice->count == 0 ||
                       pread(copy->memory_file, &byte, 1, (off_t)choice->ranges[0].address) != 0);
    if (!has_memory || atomic_load(&copy->state) != PI_COPY_LIVES)
        return lost(copy, error);
    pi_plan_extend_stacks(&hold->plan, choice->ranges, choice->count);
    hold->ranges = choice->ranges;
    hold->range_count = choice->count;
    hold->memory_bytes = choice->total_bytes - choice->left_out_bytes;
    return PROCINSPECT_OK;
}

static bool has_ended(const copy_source *copy) {
    struct pollfd ended = {copy->pidfd, POLLIN, 0};
    return poll(&ended, 1, 0) == 1 || atomic_load(&copy->work->hold.copy->state) != PI_COPY_LIVES;
}

/* It stands, and waits; or it is on its way to its end, and its memory may be gone in part. */
static bool is_being_ended(const copy_source *copy) {
    char path[32], text[256];
    snprintf(path, sizeof path, "%d/stat", (int)copy->work->hold.copy->pid);
    int file = openat(copy->work->hold.proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
    pi_close(file);
    text[length > 0 ? length : 0] = '\0';
    const char *name_end = strrchr(text, ')');
    char state = name_end != NULL && name_end[1] == ' ' ? name_end[2] : 'X';
    return state != 't' && state != 'S';
}

/* What of [address, address + length) can be read in one way: from the held range, whose bytes are
 * in *bytes then, or from the copy. */
static size_t one_way(const copy_source *copy, uint64_t address, size_t length,
                      const unsigned char **bytes) {
    *bytes = NULL;
    if (copy->held_count == 0)
        return length;
    size_t at = pi_memory_range_at_or_below(copy->held, copy->held_count, address);
    const pi_memory_range *range = &copy->held[at];
    if (address >= range->address && address - range->address < range->size_bytes) {
        uint64_t offset = address - range->address;
        *bytes = copy->work->hold.data + copy->held_offsets[at] + offset;
        return range->size_bytes - offset < length ? (size_t)(range->size_bytes - offset) : length;
    }
    if (address >= range->address)
        range++;
    bool is_below = range < copy->held + copy->held_count && range->address - address < length;
    return is_below ? (size_t)(range->address - address) : length;
}

/*
 * From the copy by the file, and not by process_vm_readv: since Linux 5.19 that has a page that
 * process and copy share copied before it is read, and so the copy would come to take as much
 * memory as it is large.
 */
static int32_t read_bytes(const pi_memory_source *source, uint64_t address, void *buffer,
                          size_t length, procinspect_error *error) {
    const copy_source *copy = (const copy_source *)(const void *)source;
    unsigned char *to = buffer;
    if (pi_memory_range_around(copy->ranges, copy->range_count, address, length) ==
        copy->range_count)
        return pi_capture_not_held(address, length, error);
    pi_memory_reading reading = PI_MEMORY_READ_WELL;
    while (length != 0 && reading != PI_MEMORY_READ_NOTHING) {
        const unsigned char *bytes;
        size_t part = one_way(copy, address, length, &bytes);
        pi_memory_reading of_part = PI_MEMORY_READ_WELL;
        if (bytes != NULL)
            memcpy(to, bytes, part);
        else
            of_part = pi_memory_file_read(copy->work->hold.copy->memory_file, address, to, part);
        reading = of_part > reading ? of_part : reading;
        address += part;
        to += part;
        length -= part;
    }
    bool is_lost = reading == PI_MEMORY_READ_NOTHING || has_ended(copy) ||
                   (reading == PI_MEMORY_READ_IN_PART && is_being_ended(copy));
    return is_lost ? lost(copy->work->hold.copy, error) : PROCINSPECT_OK;
}

void pi_copy_drop(pi_capture_work *work, pi_helper_staying *staying) {
    const pi_copy *copy = work->hold.copy;
    if (staying != NULL)
        work->is_kept = !pi_helper_end(staying);
    /* One that hangs may use their numbers yet. */
    if (atomic_load(&copy->hands_over) && !work->is_kept) {
        pi_close(copy->memory_file);
        pi_close(copy->pagemap_file);
        pi_close(copy->growth_file);
        pi_close(copy->task_directory);
    }
    pi_capture_work_free(work);
}

static void release(pi_memory_source *source) {
    copy_source *copy = (copy_source *)(void *)source;
    pi_close(copy->pidfd);
    pi_copy_drop(copy->work, copy->staying);
    free(copy);
}

int32_t pi_copy_source_new(pi_capture_work *work, pi_helper_staying *staying,
                           const pi_memory_range *ranges, size_t count, pi_memory_source **source,
                           procinspect_error *error) {
    const pi_copy *copy = work->hold.copy;
    copy_source *made = malloc(sizeof *made + copy->held_count * sizeof made->held_offsets[0]);
    if (made == NULL)
        return pi_error_no_memory(error);
    *made = (copy_source){.source = {read_bytes, release},
                          .work = work,
                          .staying = staying,
                          .pidfd = (int)syscall(SYS_pidfd_open, copy->pid, 0),
                          .ranges = ranges,
                          .range_count = count,
                          .held = copy->held,
                          .held_count = copy->held_count};
    size_t used = 0;
    for (size_t i = 0; i < copy->held_count; i++) {
        made->held_offsets[i] = used;
        used += (size_t)copy->held[i].size_bytes;
    }
    /* It was the copy's number when this was opened only if it is so afterwards. */
    bool lives = made->pidfd >= 0 && atomic_load(&copy->state) == PI_COPY_LIVES;
    if (!lives) {
        int os_errno = made->pidfd < 0 ? errno : ESRCH;
        pi_close(made->pidfd);
        free(made);
        return os_errno == EMFILE || os_errno == ENFILE
                   ? pi_error_set(error, PROCINSPECT_ERROR_NO_RESOURCES, os_errno,
                                  "No file descriptor is left for the dump; raise RLIMIT_NOFILE of "
                                  "the host process.")
                   : lost(copy, error);
    }
    pi_capture_work_trim(work);
    *source = &made->source;
    return PROCINSPECT_OK;
}
