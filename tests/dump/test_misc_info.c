/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dump/minidump/minidump.h"

static void assert_misc_info(const pi_snapshot *snapshot, uint32_t flags, uint32_t start,
                             uint32_t user, uint32_t kernel) {
    laid_out file = lay_out(snapshot);
    uint32_t size, at = stream_at(&file, PI_STREAM_MISC_INFO, &size);
    assert_int_equal(size, 24);
    const uint32_t expected[] = {24, flags, (uint32_t)snapshot->pid, start, user, kernel};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(u32_at(&file, at + 4 * i), expected[i]);
    laid_out_free(&file);
}

static void pid_and_times(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    snapshot.process_start_unix_ns = INT64_C(1690000000999999999);
    snapshot.process_user_cpu_ns = 61999999999u;
    snapshot.process_kernel_cpu_ns = 7000000000u;
    assert_misc_info(&snapshot, 3, 1690000000, 61, 7);
}

static void times_that_are_not_known_are_not_flagged(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    snapshot.process_user_cpu_ns = 61999999999u;
    assert_misc_info(&snapshot, 1, 0, 0, 0);
    snapshot.process_start_unix_ns = -5;
    assert_misc_info(&snapshot, 1, 0, 0, 0);
}

static void times_beyond_the_field_saturate(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    snapshot.process_start_unix_ns = INT64_MAX;
    snapshot.process_user_cpu_ns = UINT64_MAX;
    assert_misc_info(&snapshot, 3, UINT32_MAX, UINT32_MAX, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pid_and_times),
        cmocka_unit_test(times_that_are_not_known_are_not_flagged),
        cmocka_unit_test(times_beyond_the_field_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
