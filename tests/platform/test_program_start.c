/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "platform/linux/program_start.h"

/* As Linux writes it of a shell, but for the name, fields 23 and 26 and the end, field 51. */
static bool is_starting(const char *memory, const char *start_code, const char *environment_end,
                        const char *behind) {
    char line[512];
    snprintf(line, sizeof line,
             "4242 (0 0) 0 0) S 4241 4242 4240 34816 4243 4194304 1234 56789 1 2 11 22 33 44 20 0 "
             "1 0 987654 %s 1304 18446744073709551615 %s 94204522225501 140726527863424 0 0 0 "
             "65536 3670020 1266777851 1 0 0 17 3 7 2 0 0 0 94204522461776 94204522509508 "
             "94204552810496 140726527867000 140726527867006 140726527867006 %s%s",
             memory, start_code, environment_end, behind);
    return pi_stat_is_starting_program(line, strlen(line));
}

static void a_program_that_runs(void **state) {
    (void)state;
    assert_false(is_starting("8364032", "94204521406464", "140726527868910", " 0\n"));
}

static void one_that_has_no_environment_yet(void **state) {
    (void)state;
    assert_true(is_starting("8364032", "0", "0", " 0\n"));
    assert_true(is_starting("8364032", "94204521406464", "0", " 0\n"));
}

static void one_that_the_kernel_does_not_tell_of(void **state) {
    (void)state;
    assert_false(is_starting("8364032", "1", "0", " 0\n"));
}

static void one_program_between_two_looks(void **state) {
    (void)state;
    const pi_program_look one = {false, 0x7ffc1000}, other = {false, 0x7ffd2000};
    const pi_program_look starting = {true, 0x7ffc1000}, untold = {false, 0};
    assert_true(pi_program_stood(one, one));
    assert_true(pi_program_stood(untold, untold));
    assert_false(pi_program_stood(one, other)); /* it executed another meanwhile */
    assert_false(pi_program_stood(one, starting));
    assert_false(pi_program_stood(starting, one));
}

static void one_without_memory(void **state) {
    (void)state;
    assert_false(is_starting("0", "0", "0", " 0\n"));
}

static void lines_that_end_early_or_are_none(void **state) {
    (void)state;
    static const char *const lines[] = {
        "", ")", ") ", "4242 (bash", "4242 (bash) S 1 2 3", "4242 (bash) S 1 2 3 4 5 6 7"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_false(pi_stat_is_starting_program(lines[i], strlen(lines[i])));
    assert_false(is_starting("8364032", "0", "0", ""));
    assert_false(is_starting("8364032", "0", "x", " 0\n"));
    assert_false(is_starting("8364032", "-1", "0", " 0\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_that_runs),
        cmocka_unit_test(one_that_has_no_environment_yet),
        cmocka_unit_test(one_that_the_kernel_does_not_tell_of),
        cmocka_unit_test(one_program_between_two_looks),
        cmocka_unit_test(one_without_memory),
        cmocka_unit_test(lines_that_end_early_or_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
