/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_DUMP_SUBJECT_H
#define TESTS_BENCH_DUMP_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>

/* A process to be dumped: so much memory, written to, and so many threads, which sleep. */
typedef struct dump_shape {
    size_t mebibytes;
    size_t threads;
    bool is_huge; /* in huge pages */
} dump_shape;

typedef struct dump_subject {
    int pid;
    int ask;
    int answer;
    unsigned char *memory; /* at the same address in this process, untouched */
    size_t bytes;
    size_t threads;
} dump_subject;

dump_subject dump_subject_start(const dump_shape *shape);
void dump_subject_end(dump_subject *subject);

/* Has it fork and wait for the child, as barely as can be: how long the fork took, in seconds. */
double dump_subject_fork(const dump_subject *subject);

/* Has its main thread wake every 200 us, until it is asked for the longest time, in seconds, that
 * was between two of these. */
void dump_subject_begin_ticking(const dump_subject *subject);
double dump_subject_longest_gap(const dump_subject *subject);

#endif
