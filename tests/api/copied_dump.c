/* SPDX-License-Identifier: MIT */
#include "api/copied_dump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

procinspect_dump *copied_dump_of(pid_t pid, uint32_t type) {
    procinspect_context_options context_options;
    procinspect_dump_options options;
    procinspect_context *context;
    procinspect_process *process;
    procinspect_dump *dump = NULL;
    procinspect_error error = {0};
    procinspect_context_options_init(&context_options, sizeof context_options);
    context_options.allow = PROCINSPECT_ALLOW_DUMP;
    context_options.max_pause_ms = 60000; /* of a machine that a hundred others want */
    assert_int_equal(procinspect_context_new(&context_options, &context, NULL), 0);
    assert_int_equal(procinspect_process_open(context, pid, &process, NULL), 0);
    procinspect_dump_options_init(&options, sizeof options);
    options.type = type;
    options.way = PROCINSPECT_DUMP_WAY_COPY;
    procinspect_dump_capture(process, &options, &dump, &error);
    assert_string_equal(error.message, "");
    procinspect_process_free(process);
    procinspect_context_free(context);
    return dump;
}
