/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Contestants that do the same work in turn, round after round, so that what disturbs the machine
 * meets all of them. The first is the floor: the others are told as multiples of its median.
 */
typedef struct bench_contestant {
    const char *name;
    void (*run)(void *user);
    void *user;
    double reach;  /* at most this many times the floor; 0: only measured */
    double median; /* seconds; filled by bench_run */
} bench_contestant;

/* Measures what each takes of the processor (they never wait), prints a table, and returns how many
 * missed their reach. */
int bench_run(const char *title, unsigned rounds, bench_contestant *contestants, size_t count);

/* The same for times that were measured elsewhere: samples[contestant][round], in seconds. */
int bench_report(const char *title, unsigned rounds, bench_contestant *contestants, size_t count,
                 double *const *samples);

double bench_now(void);      /* seconds */
double bench_cpu_time(void); /* seconds that this process has used, kernel included */

/* Ends the benchmark with a message. */
__attribute__((format(printf, 1, 2), noreturn)) void bench_fail(const char *format, ...);

/* Processes that pause until they are killed or this one ends. before_each, where it isn't NULL, is
 * called with a new number before each is forked. */
typedef struct bench_children {
    int *pids;
    size_t count;
} bench_children;
bench_children bench_children_start(size_t count, void (*before_each)(uint64_t number));
/* One process with so many threads, all of them asleep. */
int bench_threads_start(size_t count);
void bench_children_end(bench_children *children);
void bench_child_end(int pid);

#endif
