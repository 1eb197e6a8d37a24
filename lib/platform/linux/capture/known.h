/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_KNOWN_H
#define PI_PLATFORM_LINUX_CAPTURE_KNOWN_H

#include "platform/linux/affinity.h"
#include "platform/linux/linux.h"

/* The threads as they were before the process was stopped, by ascending tid. */
typedef struct pi_known_threads {
    procinspect_thread_list list;
    pi_affinity *affinities; /* beside the list's items; NULL unless asked for */
} pi_known_threads;

/* What is known of one of them. */
typedef struct pi_known_thread {
    const procinspect_thread_info *info; /* NULL: nothing */
    pi_affinity affinity;
} pi_known_thread;

/* `with_info`: times and processors, beside the names and priorities. */
int32_t pi_known_threads_read(const pi_process *process, bool with_info, pi_arena *arena,
                              pi_known_threads *known, procinspect_error *error);

/* A thread that came after the listing is asked for now; if it has ended nothing is known of it. */
pi_known_thread pi_known_threads_find(const pi_process *process, const pi_known_threads *known,
                                      bool with_info, int32_t tid, pi_arena *arena);

#endif
