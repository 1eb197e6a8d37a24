/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_RECORD_H
#define PI_PLATFORM_LINUX_CAPTURE_RECORD_H

#include "model/memory_range.h"
#include "platform/linux/capture/area.h"
#include "platform/linux/capture/pages.h"

/*
 * What a fork doesn't tell of a process's memory, written down while both stand: a copy has the
 * pages of private memory, and is asked for them later, at leisure. Of files and of shared memory
 * it has the mappings alone, so which pages existed is known only to the process itself. And some
 * memory isn't in a copy at all, or not for sure: what madvise keeps from it (MADV_DONTFORK,
 * MADV_WIPEONFORK), and huge pages of hugetlbfs, which the kernel takes away from the copy when
 * none is left. That is held: read from the process itself, right away.
 *
 * Runs in the helper: nothing here calls libc or allocates.
 */

/* A mapping whose pages are known from the process itself. */
typedef struct pi_recorded_area {
    uint64_t start;
    uint64_t end;
    size_t first_run;
    size_t run_count;
    bool is_shared;
    bool is_held;
} pi_recorded_area;

#define PI_RECORD_MAX_AREAS ((size_t)128 * 1024)
#define PI_RECORD_MAX_RUNS ((size_t)256 * 1024)

typedef struct pi_page_record {
    uint32_t type;                 /* only mappings of which it takes anything are looked at, */
    const pi_memory_range *always; /* and those with any of these; ascending */
    size_t always_count;
    const char *maps; /* the text of /proc/PID/maps */
    size_t maps_length;
    pi_pages *pages;      /* the process's */
    pi_pages *copy_pages; /* the copy's */
    int copy_memory;      /* its /proc/PID/mem; -1: there is none yet */
    bool copy_has_all;    /* mappings of files and shared memory: none was kept from it */
    bool holds_shared;    /* shared memory is wanted as it is now */
    pi_unwanted unwanted; /* not looked at either, unless they have any of `always` */

    pi_recorded_area *areas; /* room for PI_RECORD_MAX_AREAS; results, ascending */
    size_t area_count;
    pi_page_run *runs; /* room for PI_RECORD_MAX_RUNS */
    size_t run_count;
    uint64_t shared_bytes;   /* of pages that are shared, and not held: the process goes on writing
                              * to them */
    uint64_t left_out_bytes; /* what there was no room for */
} pi_page_record;

/* 0, or what pi_pages_next failed with. */
int pi_record_make(pi_page_record *record);

/* The recorded area that begins there, NULL where there is none. *next is where to go on looking;
 * begins with 0, and `start` never becomes less. */
const pi_recorded_area *pi_record_find(const pi_page_record *record, uint64_t start, size_t *next);

/* The ranges to hold, ascending and disjoint, at most `capacity` of them and as many bytes as there
 * is room for; how many. What there is none for is counted: shared memory as what it is, the rest
 * as left out. */
size_t pi_record_choose_held(pi_page_record *record, uint64_t room_bytes, pi_memory_range *ranges,
                             size_t capacity);

#endif
