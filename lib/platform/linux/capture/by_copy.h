/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_BY_COPY_H
#define PI_PLATFORM_LINUX_CAPTURE_BY_COPY_H

#include "platform/linux/capture/fork.h"
#include "platform/linux/capture/record.h"

/*
 * The capture by copy: the process is forked while it stands, and its memory is read from the copy
 * later, whenever somebody wants it. The copy is a process that never runs a program. The helper
 * that made it stays as long as it does, and whoever ends, helper or host: the copy ends with them.
 */

typedef enum pi_copy_state {
    PI_COPY_NONE = 0,
    PI_COPY_LIVES,
    PI_COPY_WAS_KILLED, /* by somebody: the kernel, out of memory, say */
    PI_COPY_TOO_OLD,    /* max_age_ns */
    PI_COPY_TOO_LARGE   /* max_growth_bytes */
} pi_copy_state;

typedef struct pi_copy {
    /* Set by the host; the tables of the record have room. */
    bool is_of_host; /* the host's own process: the helper, which shares its memory, forks itself */
    pi_fork fork;    /* of another process */
    uint64_t max_age_ns;
    uint64_t max_growth_bytes; /* 0: any */
    pi_page_record record;
    pi_memory_range *held; /* room for PI_RECORD_MAX_RUNS */

    /* Results. */
    int32_t pid;
    pi_fork_result failed;  /* why there is no copy */
    pi_hold_result planned; /* what reading the threads during the fork came to */
    int32_t failed_errno;
    uint64_t fork_ns;
    size_t held_count; /* of the ranges that hold.data holds */
    /* In the host's table, and its own to close once the helper has ended, if hands_over is set;
     * -1 for none. Before that they have the helper's mark, and none after it: another helper may
     * have it by then. */
    atomic_bool hands_over;
    int task_directory;                 /* the process's, for the helper */
    int memory_file;                    /* the copy's mem */
    int pagemap_file;                   /* and its pagemap */
    int growth_file;                    /* and smaps_rollup, which the helper reads */
    atomic_int state;                   /* pi_copy_state */
    atomic_uint_least64_t growth_bytes; /* pages that only the copy has, when last looked at */
} pi_copy;

/* While the process runs: finds out what the fork needs, and ends what an earlier one has left. */
void pi_copy_prepare(pi_hold *hold);

/* While the process stands: makes the copy, and holds what the copy doesn't have. */
pi_hold_result pi_hold_copy(pi_hold *hold);

/* With the process running again: reports, looks after the copy until it is to end, and ends it. */
void pi_copy_keep(pi_hold *hold);

/* With the process running again, after a failure: ends the copy, where there is one. */
void pi_copy_give_up(pi_hold *hold);

#endif
