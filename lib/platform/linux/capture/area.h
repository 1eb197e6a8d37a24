/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_AREA_H
#define PI_PLATFORM_LINUX_CAPTURE_AREA_H

#include <stdbool.h>
#include <stdint.h>

#include "model/memory_range.h"
#include "platform/linux/maps.h"

/*
 * What a line of /proc/PID/maps says of the memory behind it, as far as a dump has to know. It is
 * read while the process stands, so nothing here calls libc or allocates; maps.h reads paths and
 * devices, too, where there is time for it.
 */
typedef enum pi_area_kind {
    PI_AREA_ANONYMOUS,     /* of no file: heap, stacks, mappings, also private ones of /dev/zero */
    PI_AREA_FILE,          /* of a file that has a name, or had one */
    PI_AREA_SHARED_MEMORY, /* of a file that is nothing but memory: memfd, System V, POSIX, huge
                            * pages, shared anonymous mappings */
    PI_AREA_KERNEL_CODE,   /* the vDSO */
    PI_AREA_OTHER,         /* of the kernel's making: rings of sockets and of io_uring */
    PI_AREA_NEVER_READ     /* devices, whose memory may act when it is read, and the kernel's own:
                            * vvar, vsyscall, uprobes */
} pi_area_kind;

typedef struct pi_area {
    uint64_t start;
    uint64_t end;         /* more than start */
    uint32_t permissions; /* PI_MAPPING_… */
    pi_area_kind kind;
    bool has_name; /* there is a text behind the numbers */
    bool is_heap;
    bool is_huge;           /* pages of hugetlbfs, as far as the name tells */
    bool is_anonymous_huge; /* of MAP_ANONYMOUS, though the kernel has a file for them */
} pi_area;

/*
 * Mappings that are to be left out, as they were right before the process stood: by ascending
 * address, disjoint. One that has changed since isn't left out.
 */
typedef struct pi_unwanted {
    const pi_memory_range *ranges;
    size_t count;
    size_t next; /* where to go on looking; `area` never begins below the one before */
} pi_unwanted;

bool pi_area_is_unwanted(pi_unwanted *unwanted, const pi_area *area);

/* Memory of the process alone, and of no file. */
bool pi_area_is_own(const pi_area *area);

/* The next area from *text on, which moves behind its line; false at the end. What is no whole line
 * of maps is passed over. */
bool pi_area_next(const char **text, const char *end, pi_area *area);

#endif
