/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_DUMP_COSTS_H
#define TESTS_BENCH_DUMP_COSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/dump_subject.h"

/* What a dump into a file costs, all told. */
typedef struct dump_costs {
    double gap;            /* seconds that the target's main thread didn't run */
    double wall;           /* seconds */
    double processor;      /* seconds of the processor, of who takes the dump */
    uint64_t memory_bytes; /* of who takes it: of the host what it has more than before */
    uint64_t size_bytes;
} dump_costs;

/* Of what `take` does in this process and its helpers; it answers with the dump's size. */
dump_costs dump_costs_of(const dump_subject *subject, uint64_t (*take)(void *user), void *user);

/* Of gcore. False where there is none. */
bool dump_costs_of_gcore(const dump_subject *subject, dump_costs *costs);

#endif
