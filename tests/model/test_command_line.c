/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/command_line.h"

#define BYTES(text)                                                                                \
    { text, sizeof(text) - 1 }

static void joined_is(const char *bytes, size_t length, const char *expected) {
    char copy[256] = "";
    if (length != 0)
        memcpy(copy, bytes, length);
    pi_arena *arena = pi_arena_new(0, 4096);
    assert_string_equal(pi_command_line_join(arena, copy, length), expected);
    pi_arena_free_root(pi_arena_root(arena));
}
#define JOINED(bytes, expected) joined_is(bytes, sizeof(bytes) - 1, expected)

static void arguments_are_joined_by_single_spaces(void **state) {
    (void)state;
    JOINED("", "");
    JOINED("ls\0", "ls");
    JOINED("ls\0-l\0/tmp\0", "ls -l /tmp");
    JOINED("printf\0\0x\0", "printf  x"); /* an empty argument */
    JOINED("cut short", "cut short");
    JOINED("a b\0c\n\0", "a b c\n"); /* spaces and newlines of an argument stay */
}

static void titles_lose_the_padding_behind_them(void **state) {
    (void)state;
    JOINED("nginx: master process\0\0\0\0\0\0", "nginx: master process");
    JOINED("\0\0\0", "");
}

static void command_lines_are_repaired(void **state) {
    (void)state;
    JOINED("a\xff\0b\xc3\xa4\0", "a\xef\xbf\xbd b\xc3\xa4");
    pi_arena *arena = pi_arena_new(0, 4);
    char bytes[] = "longer";
    assert_null(pi_command_line_join(arena, bytes, 6));
    pi_arena_free_root(pi_arena_root(arena));
}

/* What is longer than a file's name names no program, and its length is the process's choice. */
static void names_are_completed_to_a_files_length(void **state) {
    (void)state;
    char line[300];
    memset(line, 'n', sizeof line);
    const pi_bytes name = BYTES("nnnnnnnnnnnnnnn");
    assert_int_equal(pi_process_name_complete(name, (pi_bytes){line, 255}).length, 255);
    assert_int_equal(pi_process_name_complete(name, (pi_bytes){line, 256}).length, 15);
}

static void cut_names_are_completed(void **state) {
    (void)state;
    static const struct {
        pi_bytes name, command_line, complete;
    } cases[] = {
        {BYTES("systemd-journal"), BYTES("/lib/systemd/systemd-journald\0"),
         BYTES("systemd-journald")},
        {BYTES("systemd-journal"), BYTES("systemd-journald\0--flag\0"), BYTES("systemd-journald")},
        {BYTES("systemd-journal"), BYTES("systemd-journald"), BYTES("systemd-journald")},
        {BYTES("systemd-journal"), BYTES("/usr/bin/python3\0/x/systemd-journald\0"),
         BYTES("systemd-journal")},
        {BYTES("exactly-fifteen"), BYTES("/bin/exactly-fifteen\0"), BYTES("exactly-fifteen")},
        {BYTES("exactly-fifteen"), BYTES("/bin/exactly\0-fifteen\0"), BYTES("exactly-fifteen")},
        {BYTES("renamed-by-self"), BYTES("/bin/renamed/by\0"), BYTES("renamed-by-self")},
        {BYTES("ends-in-a-slash"), BYTES("/bin/ends-in-a-slash-x/\0"), BYTES("ends-in-a-slash")},
        {BYTES("has/slash-in-it"), BYTES("has/slash-in-it-more\0"), BYTES("has/slash-in-it")},
        {BYTES("no-command-line"), BYTES(""), BYTES("no-command-line")},
        {BYTES("\xff\xfe bytes of it"), BYTES("/\xff\xfe bytes of it all\0"),
         BYTES("\xff\xfe bytes of it all")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pi_bytes complete = pi_process_name_complete(cases[i].name, cases[i].command_line);
        assert_int_equal(complete.length, cases[i].complete.length);
        assert_memory_equal(complete.data, cases[i].complete.data, complete.length);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_joined_by_single_spaces),
        cmocka_unit_test(titles_lose_the_padding_behind_them),
        cmocka_unit_test(command_lines_are_repaired),
        cmocka_unit_test(cut_names_are_completed),
        cmocka_unit_test(names_are_completed_to_a_files_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
