/* SPDX-License-Identifier: MIT */
/* Dry runs: tests/contract/test_estimates.py compares what they say with the dumps. */
#include "dump_target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_no_estimate(const procinspect_process *process,
                               const procinspect_dump_options *options, int32_t code,
                               const char *says) {
    const procinspect_dump_estimate *estimate = (const procinspect_dump_estimate *)&code;
    procinspect_error error;
    assert_int_equal(procinspect_dump_estimate_read(process, options, &estimate, &error), code);
    assert_int_equal(error.code, code);
    assert_non_null(strstr(error.message, says));
    assert_ptr_equal(estimate, &code);
}

static void it_says_what_the_dump_is(void **state) {
    (void)state;
    wait_until_target_is_idle();
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 1, 0);
    procinspect_process *process = open_process(context, target_pid);
    procinspect_dump *dump = capture(process); /* and it takes the only place */
    wait_until_target_is_idle();
    const procinspect_dump_report *report = procinspect_dump_report_get(dump);
    const procinspect_dump_estimate *estimate;
    assert_int_equal(procinspect_dump_estimate_read(process, NULL, &estimate, NULL), 0);
    assert_int_equal(estimate->pid, target_pid);
    assert_int_equal(estimate->requested_type, 0);
    assert_int_equal(estimate->effective_type, report->effective_type);
    assert_int_equal(estimate->way, PROCINSPECT_DUMP_WAY_HOLD);
    assert_int_equal(estimate->memory_bytes, report->memory_bytes);
    assert_int_equal(estimate->thread_count, TARGET_THREADS);
    assert_int_equal(estimate->module_count, report->module_count);
    assert_int_equal(estimate->note_count, report->note_count);
    assert_true(estimate->estimated_at_unix_ns >= report->captured_at_unix_ns);
    uint64_t size = report->size_bytes;
    assert_true(estimate->size_bytes < size + size / 50);
    assert_true(estimate->size_bytes > size - size / 50);
    procinspect_dump_free(dump);

    /* It outlives what it was made from. */
    procinspect_process_free(process);
    procinspect_context_free(context);
    const procinspect_json *json;
    assert_int_equal(procinspect_json_dump_estimate(estimate, NULL, &json, NULL), 0);
    assert_non_null(strstr(json->text, "\"size_bytes\":"));
    procinspect_json_free(json);
    procinspect_dump_estimate_free(estimate);
    procinspect_dump_estimate_free(NULL);
}

static procinspect_context *context_with_spool(void) {
    procinspect_context_options options;
    procinspect_context *context;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_DUMP;
    options.spool_directory = "/tmp";
    assert_int_equal(procinspect_context_new(&options, &context, NULL), 0);
    return context;
}

/* The dump that is taken right after it is what it said. */
static void assert_foretold(const procinspect_process *process,
                            const procinspect_dump_options *options) {
    const procinspect_dump_estimate *estimate;
    procinspect_dump *dump = NULL;
    procinspect_error error;
    wait_until_target_is_idle();
    if (procinspect_dump_estimate_read(process, options, &estimate, &error) != 0 ||
        procinspect_dump_capture(process, options, &dump, &error) != 0)
        fail_msg("%s", error.message);
    const procinspect_dump_report *report = procinspect_dump_report_get(dump);
    print_message("# type 0x%x, way %u: %lu foretold, %lu taken\n", options->type, options->way,
                  (unsigned long)estimate->size_bytes, (unsigned long)report->size_bytes);
    assert_int_equal(estimate->way, options->way);
    assert_int_equal(estimate->way, report->way);
    assert_int_equal(estimate->effective_type, report->effective_type);
    assert_int_equal(estimate->thread_count, report->thread_count);
    assert_int_equal(estimate->module_count, report->module_count);
    assert_int_equal(estimate->memory_bytes, report->memory_bytes);
    assert_int_equal(estimate->shared_memory_bytes, report->shared_memory_bytes);
    assert_int_equal(estimate->note_count, report->note_count);
    for (size_t i = 0; i < report->note_count; i++)
        assert_string_equal(estimate->notes[i]->text, report->notes[i]->text);
    assert_true(estimate->size_bytes < report->size_bytes + report->size_bytes / 50);
    assert_true(estimate->size_bytes > report->size_bytes - report->size_bytes / 50);
    procinspect_dump_free(dump);
    procinspect_dump_estimate_free(estimate);
}

/* By copy the memory that a first fork brings into being may be more: contract/estimates. */
static void each_way_is_foretold(void **state) {
    static const uint32_t ways[] = {PROCINSPECT_DUMP_WAY_HOLD, PROCINSPECT_DUMP_WAY_SPOOL,
                                    PROCINSPECT_DUMP_WAY_LIVE};
    static const uint32_t types[] = {
        PROCINSPECT_DUMP_TYPE_NORMAL,
        PROCINSPECT_DUMP_TYPE_WITH_DATA_SEGS,
        PROCINSPECT_DUMP_TYPE_WITH_PRIVATE_READ_WRITE_MEMORY,
        PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY,
        PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY | PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA |
            PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY_INFO | PROCINSPECT_DUMP_TYPE_WITH_THREAD_INFO,
    };
    (void)state;
    procinspect_context *context = context_with_spool();
    procinspect_process *process = open_process(context, target_pid);
    procinspect_dump_options options;
    procinspect_dump_options_init(&options, sizeof options);
    for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++)
        for (size_t type = 0; type < sizeof types / sizeof types[0]; type++) {
            options.way = ways[way];
            options.type = types[type];
            assert_foretold(process, &options);
        }
    procinspect_process_free(process);
    procinspect_context_free(context);
}

static void way_and_limits_are_the_options(void **state) {
    (void)state;
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 0, 0);
    procinspect_process *process = open_process(context, target_pid);
    procinspect_dump_options options;
    procinspect_dump_options_init(&options, sizeof options);
    options.way = PROCINSPECT_DUMP_WAY_COPY;
    options.flags = PROCINSPECT_DUMP_SHARED_WHILE_STOPPED | PROCINSPECT_DUMP_ONLY_CHECK;
    const procinspect_dump_estimate *estimate;
    wait_until_target_is_idle();
    assert_int_equal(procinspect_dump_estimate_read(process, &options, &estimate, NULL), 0);
    assert_int_equal(estimate->way, PROCINSPECT_DUMP_WAY_COPY);
    uint64_t size = estimate->size_bytes;
    procinspect_dump_estimate_free(estimate);
    options.max_dump_bytes = size + 200; /* it is laid out anew, with other numbers in it */
    assert_int_equal(procinspect_dump_estimate_read(process, &options, &estimate, NULL), 0);
    procinspect_dump_estimate_free(estimate);
    options.max_dump_bytes = size - 200;
    assert_no_estimate(process, &options, PROCINSPECT_ERROR_TOO_LARGE, "max_dump_bytes allows");
    options.max_dump_bytes = 10;
    assert_no_estimate(process, &options, PROCINSPECT_ERROR_TOO_LARGE, "allows 10;");
    procinspect_process_free(process);
    procinspect_context_free(context);
}

static void what_is_not_for_cores_can_be_left_out(void **state) {
    (void)state;
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 0, 0);
    procinspect_process *process = open_process(context, target_pid);
    procinspect_dump_options options;
    procinspect_dump_options_init(&options, sizeof options);
    options.type = PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY;
    options.flags = PROCINSPECT_DUMP_WITHOUT_DONTDUMP;
    const procinspect_dump_estimate *estimate;
    assert_int_equal(procinspect_dump_estimate_read(process, &options, &estimate, NULL), 0);
    procinspect_dump *dump = NULL;
    assert_int_equal(procinspect_dump_capture(process, &options, &dump, NULL), 0);
    const procinspect_dump_report *report = procinspect_dump_report_get(dump);
    assert_int_equal(report->memory_bytes, estimate->memory_bytes);
    assert_int_equal(report->note_count, estimate->note_count);
    procinspect_dump_free(dump);
    procinspect_dump_estimate_free(estimate);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

static void refusals(void **state) {
    (void)state;
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 0, 0);
    procinspect_process *process = open_process(context, target_pid);
    procinspect_dump_options options;
    procinspect_dump_options_init(&options, sizeof options);
    assert_no_estimate(NULL, NULL, PROCINSPECT_ERROR_INVALID_ARGUMENT, "process is NULL");
    procinspect_error error;
    assert_int_equal(procinspect_dump_estimate_read(process, NULL, NULL, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    options.struct_size = 3;
    assert_no_estimate(process, &options, PROCINSPECT_ERROR_INVALID_ARGUMENT, "struct_size is 3");
    procinspect_dump_options_init(&options, sizeof options);
    options.type = 0x2000;
    assert_no_estimate(process, &options, PROCINSPECT_ERROR_UNSUPPORTED, "0x2000 (WithCodeSegs)");
    procinspect_process_free(process);
    procinspect_context_free(context);

    context = context_with(PROCINSPECT_ALLOW_KILL, 0, 0);
    process = open_process(context, target_pid);
    assert_no_estimate(process, NULL, PROCINSPECT_ERROR_POLICY, "PROCINSPECT_ALLOW_DUMP");
    procinspect_process_free(process);
    procinspect_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_the_dump_is),
        cmocka_unit_test(each_way_is_foretold),
        cmocka_unit_test(way_and_limits_are_the_options),
        cmocka_unit_test(what_is_not_for_cores_can_be_left_out),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, start_target, end_target);
}
