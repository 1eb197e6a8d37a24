/* SPDX-License-Identifier: MIT */
#include "bench/dump_context.h"

#include "bench/bench.h"

procinspect_context *bench_dump_context(void) {
    procinspect_context_options options;
    procinspect_context *context;
    procinspect_error error;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_DUMP;
    if (procinspect_context_new(&options, &context, &error) != 0)
        bench_fail("%s", error.message);
    return context;
}

procinspect_process *bench_open_process(const procinspect_context *context, int pid) {
    procinspect_process *process;
    procinspect_error error;
    if (procinspect_process_open(context, pid, &process, &error) != 0)
        bench_fail("%s", error.message);
    return process;
}
