/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "platform/linux/capture/state.h"
#include "platform/linux/smaps.h"

enum { PART_BYTES = 64 * 1024 }; /* more than any line has */

typedef struct unwanted_list {
    pi_memory_range *items;
    size_t count;
    size_t capacity;
} unwanted_list;

static bool add(unwanted_list *list, const pi_smaps_mapping *mapping) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        pi_memory_range *items = realloc(list->items, capacity * sizeof *items);
        if (items == NULL)
            return false;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = (pi_memory_range){mapping->start, mapping->end - mapping->start};
    return true;
}

/* Whole lines; what is left of the text then, or -1 when out of memory. */
static ssize_t take_lines(unwanted_list *list, pi_smaps_mapping *mapping, const char *text,
                          size_t length) {
    const char *end = text + length;
    for (;;) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        if (line_end == NULL)
            return end - text;
        if (pi_smaps_take_line(mapping, text, (size_t)(line_end - text)) && mapping->is_dontdump &&
            !add(list, mapping))
            return -1;
        text = line_end + 1;
    }
}

/* It is long, and most of it doesn't matter: part by part. 0 or a negative errno. */
static int read_all(int file, unwanted_list *list, char part[PART_BYTES]) {
    pi_smaps_mapping mapping = {0};
    size_t kept = 0;
    for (;;) {
        ssize_t got = read(file, part + kept, PART_BYTES - kept);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : 0;
        size_t length = kept + (size_t)got;
        ssize_t left = take_lines(list, &mapping, part, length);
        if (left < 0)
            return -ENOMEM;
        kept = left < PART_BYTES ? (size_t)left : 0;
        memmove(part, part + length - kept, kept);
    }
}

static int read_list(const pi_process *files, unwanted_list *list) {
    int file = openat(files->directory, "smaps", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -errno;
    char *part = malloc(PART_BYTES);
    int result = part == NULL ? -ENOMEM : read_all(file, list, part);
    free(part);
    pi_close(file);
    return result;
}

int32_t pi_capture_read_unwanted(pi_capture_state *capture, procinspect_error *error) {
    unwanted_list list = {0};
    if (!capture->request->leave_out_dontdump)
        return PROCINSPECT_OK;
    int result = read_list(&capture->files, &list);
    int32_t code = PROCINSPECT_OK;
    if (result == -ENOMEM)
        code = pi_error_no_memory(error);
    else if (result != 0)
        code = pi_capture_file_failed(capture, "smaps", -result, error);
    pi_memory_range *ranges =
        code != PROCINSPECT_OK
            ? NULL
            : pi_arena_alloc_array(capture->arena, list.count + 1, sizeof *ranges);
    if (ranges != NULL) {
        memcpy(ranges, list.items, list.count * sizeof *ranges);
        capture->unwanted = (pi_unwanted){.ranges = ranges, .count = list.count};
    } else if (code == PROCINSPECT_OK) {
        code = pi_capture_exhausted(capture->arena, error);
    }
    free(list.items);
    return code;
}
