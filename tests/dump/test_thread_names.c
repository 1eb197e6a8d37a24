/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dump/minidump/minidump.h"

static void names_of_the_listed_threads(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_thread_snapshot threads[] = {
        {.tid = 4711, .has_registers = 1, .name = {"main", 4}},
        {.tid = 4712, .has_registers = 0, .name = {"unstoppable", 11}},
        {.tid = 4713, .has_registers = 1},
        {.tid = 4714, .has_registers = 1, .name = {"", 0}},
        {.tid = 4715, .has_registers = 1, .name = {") R 1 (\n", 8}},
        {.tid = 4715, .has_registers = 1, .name = {"again", 5}},
    };
    snapshot.threads = threads;
    snapshot.thread_count = 6;
    laid_out file = lay_out(&snapshot);
    uint32_t size, at = stream_at(&file, PI_STREAM_THREAD_NAMES, &size);
    assert_int_equal(u32_at(&file, at), 3);
    assert_int_equal(size, 4 + 3 * 12);
    static const struct {
        uint32_t tid;
        const char *name;
    } expected[] = {{4711, "main"}, {4714, ""}, {4715, ") R 1 (\n"}};
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(u32_at(&file, at + 4 + 12 * i), expected[i].tid);
        assert_string(&file, (uint32_t)u64_at(&file, at + 8 + 12 * i), expected[i].name);
    }
    laid_out_free(&file);
}

static void no_names(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    laid_out file = lay_out(&snapshot);
    uint32_t size, at = stream_at(&file, PI_STREAM_THREAD_NAMES, &size);
    assert_int_equal(size, 4);
    assert_int_equal(u32_at(&file, at), 0);
    laid_out_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_the_listed_threads),
        cmocka_unit_test(no_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
