/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/file_version.h"

static void finds_the_digits(void **state) {
    (void)state;
    static const struct {
        const char *name;
        const char *digits; /* NULL: none */
        uint32_t parts[4];
    } cases[] = {
        {"libz.so.1.2.13", "1.2.13", {1, 2, 13, 0}},
        {"libc.so.6", "6", {6, 0, 0, 0}},
        {"ld-linux-x86-64.so.2", "2", {2, 0, 0, 0}},
        {"a.so.1.2.3.4.5", "1.2.3.4.5", {1, 2, 3, 4}},
        {"a.so.1.2-beta", "1.2", {1, 2, 0, 0}},
        {"a.so.1.", "1", {1, 0, 0, 0}},
        {"a.so.1..2", "1", {1, 0, 0, 0}},
        {"a.so.1.so.22", "22", {22, 0, 0, 0}},
        {"a.so.7.so.", "7", {7, 0, 0, 0}},
        {"a.so.4294967295.4294967296", "4294967295.4294967296", {UINT32_MAX, UINT32_MAX, 0, 0}},
        {"a.so.99999999999999999999999.1", "99999999999999999999999.1", {UINT32_MAX, 1, 0, 0}},
        {"libz.so", NULL, {0}},
        {"libz.so.", NULL, {0}},
        {"libz.so.x1", NULL, {0}},
        {"libz.so..1", NULL, {0}},
        {"libfoo-1.2.so", NULL, {0}},
        {"", NULL, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pi_file_version version = pi_file_version_of(cases[i].name, strlen(cases[i].name));
        if (cases[i].digits == NULL) {
            assert_null(version.digits);
        } else {
            assert_int_equal(version.length, strlen(cases[i].digits));
            assert_memory_equal(version.digits, cases[i].digits, version.length);
        }
        assert_memory_equal(version.parts, cases[i].parts, sizeof version.parts);
    }
}

static void stops_at_the_given_length(void **state) {
    (void)state;
    assert_int_equal(pi_file_version_of("a.so.123", 6).length, 1);
    assert_null(pi_file_version_of("a.so.123", 5).digits);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_digits),
        cmocka_unit_test(stops_at_the_given_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
