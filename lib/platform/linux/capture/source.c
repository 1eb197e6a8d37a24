/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"

enum { PAGE_BYTES = 4096 };

typedef struct held_memory {
    pi_memory_source source; /* first: what is handed out is a pointer to it */
    unsigned char *data;
    size_t data_bytes;
    const pi_memory_range *ranges;
    size_t count;
    size_t offsets[]; /* of each range in data */
} held_memory;

int32_t pi_capture_not_held(uint64_t address, size_t length, procinspect_error *error) {
    return pi_error_set(error, PROCINSPECT_ERROR_IO, 0,
                        "The dump doesn't hold %zu bytes from address 0x%" PRIx64 ".", length,
                        address);
}

static int32_t read_held(const pi_memory_source *source, uint64_t address, void *buffer,
                         size_t length, procinspect_error *error) {
    const held_memory *held = (const held_memory *)(const void *)source;
    size_t at = pi_memory_range_around(held->ranges, held->count, address, length);
    if (at == held->count)
        return pi_capture_not_held(address, length, error);
    memcpy(buffer, held->data + held->offsets[at] + (address - held->ranges[at].address), length);
    return PROCINSPECT_OK;
}

static void release_held(pi_memory_source *source) {
    held_memory *held = (held_memory *)(void *)source;
    if (held->data_bytes != 0)
        munmap(held->data, held->data_bytes);
    free(held);
}

pi_memory_source *pi_capture_source_new(void *data, size_t data_bytes,
                                        const pi_memory_range *ranges, size_t count) {
    held_memory *held = malloc(sizeof *held + count * sizeof held->offsets[0]);
    if (held == NULL)
        return NULL;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        held->offsets[i] = used;
        used += (size_t)ranges[i].size_bytes;
    }
    size_t kept = (used + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    if (kept < data_bytes)
        munmap((unsigned char *)data + kept, data_bytes - kept);
    held->source = (pi_memory_source){read_held, release_held};
    held->data = data;
    held->data_bytes = kept < data_bytes ? kept : data_bytes;
    held->ranges = ranges;
    held->count = count;
    return &held->source;
}
