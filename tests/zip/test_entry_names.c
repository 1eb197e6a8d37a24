/* SPDX-License-Identifier: MIT */
#include "zip/entry_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_made(const char *wished, const char *expected) {
    pi_zip_name name;
    pi_zip_entry_name_make(&name, 0, wished);
    assert_string_equal(name.text, expected);
}

static void good_names_stay(void **state) {
    (void)state;
    static const char *const good[] = {"minidump.dmp",
                                       "libcoreclr.so",
                                       "python3.11-gdb.py",
                                       "gr\u00f6\u00dfe \u6587.so",
                                       "CONSOLE",
                                       "COM10",
                                       "a b"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_made(good[i], good[i]);
}

static void nothing_leaves_the_folder(void **state) {
    (void)state;
    assert_made("../../etc/passwd", "_._.._etc_passwd");
    assert_made("/etc/passwd", "_etc_passwd");
    assert_made("..\\..\\windows\\system.ini", "_._.._windows_system.ini");
    assert_made("C:evil.dll", "C_evil.dll");
    assert_made("a.txt:stream", "a.txt_stream");
    assert_made("..", "__");
    assert_made(".", "_");
    assert_made("", "_");
    assert_made("...", "___");
    assert_made(".bashrc", "_bashrc");
}

static void nothing_is_hidden(void **state) {
    (void)state;
    assert_made("a\nb\x1b[2J\x7f", "a\ufffdb\ufffd[2J\ufffd");
    assert_made("gnp.\u202etxt.exe", "gnp._txt.exe");
    assert_made("a\u2066b\u200f", "a_b_");
    assert_made("bad\xff\xfe", "bad\ufffd\ufffd");
}

static void windows_can_unpack_them(void **state) {
    (void)state;
    assert_made("con", "_con");
    assert_made("NUL.txt", "_NUL.txt");
    assert_made("Com1.so.1", "_Com1.so.1");
    assert_made("LPT9 .x", "_LPT9 .x");
    assert_made("what?*<|>\"", "what______");
    assert_made("end. .", "end___");
}

static void long_ones_are_cut_between_characters(void **state) {
    (void)state;
    char wished[2000] = "";
    for (size_t i = 0; i < 600; i++)
        strcat(wished, "\u00e4");
    pi_zip_name names[2];
    pi_zip_entry_name_make(names, 0, wished);
    pi_zip_entry_name_make(names, 1, wished);
    size_t length = strlen(names[0].text);
    assert_true(length > 100 && length < PI_ZIP_NAME_BYTES);
    assert_int_equal(length % 2, 0);
    assert_int_equal(strncmp(names[1].text, names[0].text, length), 0);
    assert_string_equal(names[1].text + length, " (2)");
}

static void no_two_are_the_same(void **state) {
    (void)state;
    static const char *const wished[] = {"a/b", "a_b", "A_B", "a_b (2)", "a\\b", "other"};
    static const char *const expected[] = {"a_b",         "a_b (2)", "A_B (3)",
                                           "a_b (2) (2)", "a_b (4)", "other"};
    enum { COUNT = sizeof wished / sizeof wished[0] };
    pi_zip_name names[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        pi_zip_entry_name_make(names, i, wished[i]);
        assert_string_equal(names[i].text, expected[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_names_stay),
        cmocka_unit_test(nothing_leaves_the_folder),
        cmocka_unit_test(nothing_is_hidden),
        cmocka_unit_test(windows_can_unpack_them),
        cmocka_unit_test(long_ones_are_cut_between_characters),
        cmocka_unit_test(no_two_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
