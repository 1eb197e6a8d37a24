/* SPDX-License-Identifier: MIT */
#include "bench/dump_ranges.h"

#include <stdint.h>
#include <stdlib.h>

#include "bench/bench.h"

/* Of the file format (MINIDUMP_HEADER, MINIDUMP_DIRECTORY, MINIDUMP_MEMORY64_LIST). */
enum { MEMORY64_LIST = 9, HEADER_NUMBERS = 4, ENTRY_NUMBERS = 3, LIST_NUMBERS = 2 };

static void read_at(const procinspect_dump *dump, uint64_t offset, void *to, size_t length) {
    size_t read = 0;
    procinspect_error error = {0};
    if (procinspect_dump_read_at(dump, offset, to, length, &read, &error) != 0 || read != length)
        bench_fail("reading a dump: %s", error.message);
}

static uint32_t offset_of_list(const procinspect_dump *dump) {
    uint32_t header[HEADER_NUMBERS], entry[ENTRY_NUMBERS];
    read_at(dump, 0, header, sizeof header);
    for (uint32_t i = 0; i < header[2]; i++) {
        read_at(dump, header[3] + i * sizeof entry, entry, sizeof entry);
        if (entry[0] == MEMORY64_LIST)
            return entry[2];
    }
    bench_fail("the dump has no list of its memory");
}

dump_ranges dump_ranges_of(const procinspect_dump *dump) {
    uint64_t list[LIST_NUMBERS], range[2];
    uint64_t at = offset_of_list(dump);
    read_at(dump, at, list, sizeof list);
    dump_ranges ranges = {malloc(list[0] * sizeof(struct iovec)), list[0]};
    if (ranges.items == NULL)
        bench_fail("out of memory");
    for (size_t i = 0; i < ranges.count; i++) {
        read_at(dump, at + sizeof list + i * sizeof range, range, sizeof range);
        ranges.items[i] = (struct iovec){(void *)(uintptr_t)range[0], range[1]};
    }
    return ranges;
}

void dump_ranges_free(dump_ranges *ranges) {
    free(ranges->items);
    *ranges = (dump_ranges){0};
}
