/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dump/reader_limits.h"

static int exceeds(size_t threads, size_t regions, size_t modules, char *text, size_t capacity) {
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    procinspect_module_list list = {.count = modules};
    snapshot.modules = &list;
    snapshot.threads = calloc(threads + 1, sizeof *snapshot.threads);
    snapshot.memory = calloc(regions + 1, sizeof *snapshot.memory);
    snapshot.thread_count = threads;
    snapshot.memory_count = regions;
    for (size_t i = 0; i < threads; i++) {
        snapshot.threads[i].tid = (int32_t)i + 1;
        snapshot.threads[i].has_registers = 1;
    }
    for (size_t i = 0; i < regions; i++)
        snapshot.memory[i] = (pi_memory_range){0x1000 * (i + 1), 16};
    int result = pi_minidump_exceeds_readers(&snapshot, text, capacity);
    free(snapshot.threads);
    free(snapshot.memory);
    return result;
}

static void the_limits_themselves_are_within(void **state) {
    (void)state;
    char text[256] = "as it was";
    assert_false(exceeds(4096, 4096, 2048, text, sizeof text));
    assert_string_equal(text, "as it was");
    assert_false(exceeds(0, 0, 0, text, sizeof text));
}

static void one_more_of_each_is_said(void **state) {
    (void)state;
    char text[256];
    assert_true(exceeds(4097, 0, 0, text, sizeof text));
    assert_non_null(strstr(text, "4097 threads, 0 memory regions and 0 modules"));
    assert_non_null(strstr(text, "4096, 4096 and 2048"));
    assert_true(exceeds(0, 4097, 0, text, sizeof text));
    assert_non_null(strstr(text, "4097 memory regions"));
    assert_true(exceeds(0, 0, 2049, text, sizeof text));
    assert_non_null(strstr(text, "2049 modules"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limits_themselves_are_within),
        cmocka_unit_test(one_more_of_each_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
