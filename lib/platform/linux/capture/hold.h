/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_HOLD_H
#define PI_PLATFORM_LINUX_CAPTURE_HOLD_H

#include "platform/linux/capture/choice.h"
#include "platform/linux/capture/plan.h"
#include "platform/linux/trace/stop.h"

/*
 * The capture by hold: what happens between the first thread's stop and the last one's start. The
 * host prepares the memory, a helper runs pi_hold_run, the host takes the results out again.
 */

typedef enum pi_hold_result {
    PI_HOLD_NOT_DONE = 0,
    PI_HOLD_DONE,
    PI_HOLD_REFUSED,      /* stop.refused_tid, stop.refused_errno */
    PI_HOLD_GONE,         /* the process ended */
    PI_HOLD_TOO_LATE,     /* max_pause_ns passed */
    PI_HOLD_FILE_FAILED,  /* failed_file could not be read: failed_errno */
    PI_HOLD_MAPS_LARGE,   /* more text than there is room for */
    PI_HOLD_MEMORY_LARGE, /* choice.total_bytes, more than there is room for */
    PI_HOLD_NOT_COPIED,   /* copy.failed_errno */
    PI_HOLD_NOT_SPOOLED   /* spool.failed_errno */
} pi_hold_result;

enum { PI_HOLD_AUXV_BYTES = 4096 };

typedef struct pi_hold {
    /* Set by the host; the tables have room for stop.capacity threads. */
    int32_t pid;
    int proc; /* /proc */
    int process_directory;
    /* Through which the memory is reached: the same two, or those of another thread where the main
     * thread has ended. */
    int memory_directory;
    int32_t memory_tid;
    uint64_t max_pause_ns;
    pi_stop stop;
    /* .threads: those that have registers, in the same order; behind them one for each stack that a
     * signal handler on an alternate stack has interrupted. */
    pi_plan plan;
    uint64_t *range_offsets; /* room beside plan.ranges */
    char *maps;
    size_t maps_capacity;
    pi_plan_mapping *mappings;
    size_t mapping_capacity;
    unsigned char *data; /* plan.budget_bytes */
    /* .type; where that asks for memory, also .never and the tables. */
    pi_choice choice;
    struct pi_copy *copy;   /* NULL: all memory is read while the process stands */
    struct pi_spool *spool; /* NULL: what is read goes into .data */
    bool is_live;           /* only what every dump holds is read while the process stands */
    bool is_predicted;      /* nothing was stopped: the results are what a hold would find */

    /* Results. */
    pi_hold_result result;
    int32_t failed_errno;
    const char *failed_file;
    size_t maps_length;
    size_t auxv_length;
    unsigned char auxv[PI_HOLD_AUXV_BYTES];
    const pi_memory_range *ranges; /* what data holds, the plan's or the choice's; live: what the
                                    * dump does, and data the plan's */
    size_t range_count;
    uint64_t memory_bytes; /* of these */
    int live_file;         /* in the host's table, and its own to close: mem; -1 for none */
    uint64_t unreadable_bytes;
    uint64_t pause_ns; /* from the first interrupt to the last detach, 0 where there was no
                        * interrupt; by phase: */
    uint64_t stop_ns, registers_ns, memory_ns, resume_ns;
} pi_hold;

/* The job of the helper; `hold` is a pi_hold. With a copy it reports, and stays with it. */
void pi_hold_run(pi_helper *helper, void *hold);

/* Between the files that do the job. */

/* When the threads have to be let go of. */
uint64_t pi_hold_deadline_ns(const pi_hold *hold);
pi_hold_result pi_hold_read_maps(pi_hold *hold);
/* Whether registers and plan are made while the process is being forked: by _plan. */
bool pi_hold_is_planned_meanwhile(const pi_hold *hold);
/* With the text of maps: all registers, and from both the plan. */
pi_hold_result pi_hold_plan(pi_hold *hold);
pi_hold_result pi_hold_read_ranges(pi_hold *hold, const pi_memory_range *ranges, size_t count);
pi_hold_result pi_hold_file_failed(pi_hold *hold, const char *name, long result);
/* What pi_pages_next failed with. */
pi_hold_result pi_hold_pages_failed(pi_hold *hold, int result);

#endif
