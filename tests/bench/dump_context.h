/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_DUMP_CONTEXT_H
#define TESTS_BENCH_DUMP_CONTEXT_H

#include <procinspect.h>

/* A context that may take dumps. */
procinspect_context *bench_dump_context(void);

/* A process of it. */
procinspect_process *bench_open_process(const procinspect_context *context, int pid);

#endif
