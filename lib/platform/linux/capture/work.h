/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_WORK_H
#define PI_PLATFORM_LINUX_CAPTURE_WORK_H

#include <procinspect/error.h>

#include "platform/linux/capture/hold.h"

/*
 * The memory that a hold works in: mapped before the target is touched, for the largest case, and
 * backed by pages only as far as it is used. What an ordinary case uses is backed beforehand, so
 * that no page fault lengthens the pause.
 */
typedef struct pi_capture_work {
    pi_hold hold;
    void *tables;
    size_t tables_bytes;
    size_t data_bytes;      /* of hold.data, 0 once it was taken away */
    pi_memory_range own[2]; /* the two mappings, where hold.choice is to leave them out */
    bool is_kept;           /* a helper that can't be ended may yet write to it */
} pi_capture_work;

/* What to make room for. */
typedef struct pi_capture_size {
    size_t thread_count; /* about */
    uint64_t max_data_bytes;
    uint64_t expected_data_bytes; /* besides the stacks */
    bool holds_no_stacks;         /* they are read with all other memory, and not into .data */
    bool has_choice;              /* the type asks for more memory than every dump holds */
    bool wants_copy;              /* hold.copy is to be there */
    bool wants_spool;             /* hold.spool is to be there */
    bool is_live;                 /* the choice is of any size, and isn't held */
} pi_capture_size;

/* NO_MEMORY. */
int32_t pi_capture_work_new(const pi_capture_size *size, pi_capture_work **work,
                            procinspect_error *error);

/* Gives back the memory of what only the capture itself needs, for one that lives on behind it. */
void pi_capture_work_trim(pi_capture_work *work);

/* Where it is kept, it stays mapped, and only the pages that back it are given back. */
void pi_capture_work_free(pi_capture_work *work);

#endif
