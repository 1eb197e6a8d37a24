/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_STOP_FLOOR_H
#define TESTS_BENCH_STOP_FLOOR_H

#include <stddef.h>

/* In seconds. */
typedef struct stop_durations {
    double pause; /* from the first interrupt to the last detach */
    double wall;  /* and what is before that */
} stop_durations;

/* The least that a dump of a process with so many threads has to do: list them, seize, interrupt,
 * wait, read registers, let go. */
stop_durations stop_floor(int pid, size_t threads);

#endif
