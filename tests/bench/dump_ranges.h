/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_DUMP_RANGES_H
#define TESTS_BENCH_DUMP_RANGES_H

#include <stddef.h>
#include <sys/uio.h>

#include <procinspect.h>

/* The memory of the process that a full dump holds, one range behind the other in the file. */
typedef struct dump_ranges {
    struct iovec *items; /* addresses in the process */
    size_t count;
} dump_ranges;

dump_ranges dump_ranges_of(const procinspect_dump *dump);
void dump_ranges_free(dump_ranges *ranges);

#endif
