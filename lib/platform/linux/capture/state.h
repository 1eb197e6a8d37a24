/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_STATE_H
#define PI_PLATFORM_LINUX_CAPTURE_STATE_H

#include "platform/linux/capture/attempt.h"
#include "platform/linux/capture/parts.h"
#include "platform/linux/living.h"

/* One attempt at a capture, between the files that make it. */
typedef struct pi_capture_state {
    const pi_process *process;
    pi_process files; /* the same, for files about its memory: those of a living thread */
    pi_living living;
    int root; /* its root directory, which outlives it */
    const pi_capture_request *request;
    pi_arena *arena;
    pi_snapshot *snapshot; /* the arena's root */
    pi_capture_notes notes;
    pi_bytes auxv;          /* as it was while the process stood */
    pi_known_threads known; /* of the threads, before the stop */
    pi_capture_history *history;
    pi_unwanted unwanted; /* of mappings, before the stop */
    uint32_t way;         /* PROCINSPECT_DUMP_WAY_…, chosen before anything is stopped */
} pi_capture_state;

/* The mappings that madvise wants left out of cores, where the request does, too: 0, an error, or
 * PI_CAPTURE_AGAIN. */
int32_t pi_capture_read_unwanted(pi_capture_state *capture, procinspect_error *error);

/* What to work in, with all set that the host sets; to be freed with pi_capture_work_free, or
 * pi_copy_drop. */
int32_t pi_capture_prepare_work(const pi_capture_state *capture, pi_capture_work **work,
                                procinspect_error *error);

/* The thread whose files are read. */
int32_t pi_capture_living_tid(const pi_capture_state *capture);

/* Sets .way and the report's way_reason, by what the request says, judge_size has found, and
 * earlier attempts have taught: TOO_LARGE, UNSUPPORTED. */
int32_t pi_capture_choose_way(pi_capture_state *capture, procinspect_error *error);

/* Why no thread of a process may be made to fork; a pi_fork_result. */
const char *pi_capture_no_fork_reason(int result);

/* What the hold came to: 0, an error, or PI_CAPTURE_AGAIN. */
int32_t pi_capture_judge(pi_capture_state *capture, const pi_hold *hold, procinspect_error *error);

/* It would stand still for longer than it may, in this attempt or in all: TIMED_OUT. */
int32_t pi_capture_too_late(const pi_capture_state *capture, procinspect_error *error);

/* One of its files couldn't be read: an error, or PI_CAPTURE_AGAIN. */
int32_t pi_capture_file_failed(pi_capture_state *capture, const char *file, int os_errno,
                               procinspect_error *error);

#endif
