/* SPDX-License-Identifier: MIT */
#ifndef PI_DUMP_MINIDUMP_MEMORY_PLACEMENT_H
#define PI_DUMP_MINIDUMP_MEMORY_PLACEMENT_H

#include "model/snapshot.h"

/*
 * Where the target's memory stands in the file. Without full memory MemoryList has all of it. With
 * it, Memory64List has: its data stand in a row, of any size. Those who know MemoryList only get
 * there what they unwind with, the stacks and the code at the instruction pointers, as parts of the
 * same data. What they find there reaches to the end of the range that it is a part of, since LLDB
 * asks MemoryList first and reads no further than an entry does.
 *
 * MemoryList and ThreadList address 4 GiB of the file. Where there is more, the pages that they
 * need are ranges of their own, and stand before the others.
 */
typedef struct pi_placed_range {
    pi_memory_range range;
    uint64_t position;    /* in the file */
    uint64_t listed_from; /* MemoryList has it from this address on; its end where it hasn't */
    int comes_first;
} pi_placed_range;

typedef struct pi_placement {
    pi_placed_range *items; /* malloc'ed; by ascending address, disjoint */
    size_t count;
    int is_full; /* there is a Memory64List */
} pi_placement;

/* The file's first `begin` bytes are known; the lists come behind them, and then the memory. 0 when
 * out of memory. */
int pi_placement_make(const pi_snapshot *snapshot, uint64_t begin, pi_placement *placement);
void pi_placement_free(pi_placement *placement);

/* The range that holds this address; NULL where none does. */
const pi_placed_range *pi_placement_find(const pi_placement *placement, uint64_t address);

int pi_snapshot_has_full_memory(const pi_snapshot *snapshot);
uint64_t pi_memory_list_size_bytes(const pi_placement *placement);
uint64_t pi_memory64_list_size_bytes(const pi_placement *placement); /* 0: there is none */

#endif
