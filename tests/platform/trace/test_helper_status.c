/* SPDX-License-Identifier: MIT */
/* Values behind keys, in files of any length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/linux/trace/helper_status.h"

static int file_of(const char *text, size_t length) {
    int file = memfd_create("status", MFD_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, length), length);
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    return file;
}

static void assert_value(const char *text, const char *key, const char *expected) {
    char value[64];
    int file = file_of(text, strlen(text));
    long length = pi_helper_find_value(file, key, value, sizeof value);
    close(file);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(value, expected, strlen(expected));
}

static void assert_none(const char *text, const char *key) {
    char value[8];
    int file = file_of(text, strlen(text));
    assert_int_equal(pi_helper_find_value(file, key, value, sizeof value), -ENODATA);
    close(file);
}

static void test_values(void **state) {
    static const char text[] = "Name:\ta b: c\nTracerPid:\t17\nNSpid:\t12\t3\nSeccomp:\t2\n";
    (void)state;
    assert_value(text, "Name", "a b: c");
    assert_value(text, "TracerPid", "17");
    assert_value(text, "NSpid", "12\t3");
    assert_value(text, "Seccomp", "2");
    assert_value("Seccomp:   2", "Seccomp", "2"); /* cut off */
    assert_value("Seccomp:\nGroups:\n", "Seccomp", "");
}

static void test_what_only_looks_like_a_key(void **state) {
    (void)state;
    assert_none("", "Seccomp");
    assert_none("Name:\tSeccomp:\t2\n", "Seccomp");
    assert_none("Seccomp_filters:\t2\nSec:\t1\nSeccomp\t2\nSeccomp", "Seccomp");
    assert_value("Seccomp_filters:\t1\nSeccomp:\t2\n", "Seccomp", "2");
}

static void test_values_are_cut_to_their_room(void **state) {
    char value[4] = "___";
    int file = file_of("Groups:\t123456\n", 15);
    (void)state;
    assert_int_equal(pi_helper_find_value(file, "Groups", value, 3), 3);
    assert_string_equal(value, "123");
    close(file);
}

/* The line before has any length, so the key begins anywhere in what is read at once. */
static void test_keys_behind_lines_of_any_length(void **state) {
    enum { LONGEST = 5000, LINE_OF_ALL_GROUPS = 65536 * 11 };
    static char text[LINE_OF_ALL_GROUPS + 64];
    (void)state;
    for (int length = 0; length <= LONGEST; length++) {
        snprintf(text, sizeof text, "Groups:%*s\nNSpid:\t%d\nSeccomp:\t2\n", length, "", length);
        char expected[16];
        snprintf(expected, sizeof expected, "%d", length);
        assert_value(text, "NSpid", expected);
        assert_value(text, "Seccomp", "2");
    }
    snprintf(text, sizeof text, "Groups:%*s\nSeccomp:\t1\n", LINE_OF_ALL_GROUPS, "");
    assert_value(text, "Seccomp", "1");
}

static void test_what_cannot_be_read(void **state) {
    char value[8];
    (void)state;
    assert_int_equal(pi_helper_find_value(-1, "Seccomp", value, sizeof value), -EBADF);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_what_only_looks_like_a_key),
        cmocka_unit_test(test_values_are_cut_to_their_room),
        cmocka_unit_test(test_keys_behind_lines_of_any_length),
        cmocka_unit_test(test_what_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
