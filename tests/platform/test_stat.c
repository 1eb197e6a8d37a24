/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "platform/linux/stat.h"

/* As Linux 6.1 wrote it of a shell. */
static const char recorded[] =
    "4242 (bash) S 4241 4242 4240 34816 4243 4194304 1234 56789 1 2 11 22 33 44 20 0 1 0 987654 "
    "8364032 1304 18446744073709551615 94204521406464 94204522225501 140726527863424 0 0 0 65536 "
    "3670020 1266777851 1 0 0 17 3 7 2 0 0 0 94204522461776 94204522509508 94204552810496 "
    "140726527867000 140726527867006 140726527867006 140726527868910 0\n";

static bool parse(const char *line, pi_stat *stat) {
    /* Exactly these bytes, so that the sanitizer sees what is read behind them. */
    size_t length = strlen(line);
    char *bytes = malloc(length + 1);
    memcpy(bytes, line, length);
    char *exact = realloc(bytes, length == 0 ? 1 : length);
    bool parsed = pi_stat_parse(exact, length, stat);
    if (parsed) /* the name points into the bytes */
        stat->name = line + (stat->name - exact);
    free(exact);
    return parsed;
}

static void a_recorded_line(void **state) {
    (void)state;
    pi_stat stat;
    assert_true(parse(recorded, &stat));
    assert_int_equal(stat.pid, 4242);
    assert_int_equal(stat.name_length, 4);
    assert_memory_equal(stat.name, "bash", 4);
    assert_int_equal(stat.state, 'S');
    assert_int_equal(stat.parent_pid, 4241);
    assert_int_equal(stat.process_group_id, 4242);
    assert_int_equal(stat.session_id, 4240);
    assert_false(stat.is_kernel_thread);
    assert_int_equal(stat.user_ticks, 11);
    assert_int_equal(stat.kernel_ticks, 22);
    assert_int_equal(stat.priority, 20);
    assert_int_equal(stat.nice, 0);
    assert_int_equal(stat.thread_count, 1);
    assert_int_equal(stat.start_ticks, 987654);
    assert_int_equal(stat.realtime_priority, 7);
    assert_int_equal(stat.scheduling_policy, 2);
    assert_false(pi_stat_is_dead(&stat));
}

/* The fields behind the name, each given or taken from an ordinary line. */
typedef struct fields {
    const char *name, *state, *parent, *group, *flags, *user, *priority, *nice, *threads, *start;
    const char *realtime, *policy;
} fields;

#define OR(given, ordinary) ((given) != NULL ? (given) : (ordinary))

static bool parse_fields(fields given, pi_stat *stat, char line[2048]) {
    snprintf(line, 2048,
             "7 (%s) %s %s %s 3 0 -1 %s 1 2 3 4 %s 6 7 8 %s %s %s 0 %s 100 200 300 1 2 3 4 5 6 7 8 "
             "9 0 0 0 17 0 %s %s 0 0 0 1 2 3 4 5 6 7 0\n",
             OR(given.name, "x"), OR(given.state, "S"), OR(given.parent, "1"), OR(given.group, "2"),
             OR(given.flags, "0"), OR(given.user, "5"), OR(given.priority, "20"),
             OR(given.nice, "0"), OR(given.threads, "1"), OR(given.start, "99"),
             OR(given.realtime, "0"), OR(given.policy, "0"));
    return parse(line, stat);
}

static void names_may_hold_anything(void **state) {
    (void)state;
    static const char *const names[] = {
        "",
        ") R 1 (",
        "a b",
        "new\nline",
        "\xff\xfe",
        "))))",
        "((((",
        ") ",
        ")",
        "(",
        " ",
        "x) S 1 2 3 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 99 (y",
        "1234567890123456789012345678901234567",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        pi_stat stat;
        char line[2048];
        assert_true(parse_fields((fields){.name = names[i], .state = "D"}, &stat, line));
        assert_int_equal(stat.name_length, strlen(names[i]));
        assert_memory_equal(stat.name, names[i], stat.name_length);
        assert_int_equal(stat.state, 'D');
        assert_int_equal(stat.parent_pid, 1);
        assert_int_equal(stat.start_ticks, 99);
    }
}

/* Cut before the end of the last field that we use, a line is none; later nothing of it is lost. */
static void a_line_that_was_cut_is_none(void **state) {
    (void)state;
    static const char used[] =
        "4242 (bash) S 4241 4242 4240 34816 4243 4194304 1234 56789 1 2 11 22 33 44 20 0 1 0 "
        "987654 8364032 1304 18446744073709551615 94204521406464 94204522225501 140726527863424 0 "
        "0 0 65536 3670020 1266777851 1 0 0 17 3 7 2";
    assert_memory_equal(recorded, used, sizeof used - 1);
    for (size_t length = 0; length < sizeof recorded - 1; length++) {
        char line[sizeof recorded] = "";
        memcpy(line, recorded, length);
        pi_stat stat = {.pid = -5};
        bool parsed = parse(line, &stat);
        assert_int_equal(parsed, length >= sizeof used);
        assert_int_equal(stat.pid, parsed ? 4242 : -5); /* untouched where it fails */
        if (parsed)
            assert_int_equal(stat.scheduling_policy, 2);
    }
}

static void numbers_at_their_limits(void **state) {
    (void)state;
    pi_stat stat;
    char line[2048];
    assert_true(parse_fields((fields){.parent = "2147483647",
                                      .group = "-1",
                                      .flags = "4294967295",
                                      .user = "18446744073709551615",
                                      .priority = "-100",
                                      .nice = "-20",
                                      .threads = "2147483647",
                                      .start = "18446744073709551615",
                                      .realtime = "99",
                                      .policy = "6"},
                             &stat, line));
    assert_int_equal(stat.parent_pid, INT32_MAX);
    assert_int_equal(stat.process_group_id, -1);
    assert_true(stat.is_kernel_thread);
    assert_true(stat.user_ticks == UINT64_MAX);
    assert_int_equal(stat.priority, -100);
    assert_int_equal(stat.nice, -20);
    assert_int_equal(stat.thread_count, INT32_MAX);
    assert_true(stat.start_ticks == UINT64_MAX);
    assert_int_equal(stat.realtime_priority, 99);
    assert_int_equal(stat.scheduling_policy, 6);
}

static void numbers_beyond_their_limits_are_none(void **state) {
    (void)state;
    static const fields cases[] = {
        {.parent = "2147483648"},
        {.parent = ""},
        {.parent = "x"},
        {.parent = "0x1"},
        {.parent = "+1"},
        {.parent = "--1"},
        {.parent = "-"},
        {.user = "18446744073709551616"},
        {.user = "-1"},
        {.start = "99999999999999999999999999"},
        {.start = "-1"},
        {.start = "1.5"},
        {.threads = "4294967296"},
        {.priority = "99999999999"},
        {.policy = "4294967296"},
        {.state = ""},
        {.state = "SS"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pi_stat stat;
        char line[2048];
        assert_false(parse_fields(cases[i], &stat, line));
    }
}

static void what_is_no_stat_line(void **state) {
    (void)state;
    static const char *const lines[] = {
        "",           "\n",         "7",
        "7 ",         "7 (",        "7 (x",
        "7 (x)",      "7 (x) ",     "7 (x) S",
        "7 (x) S ",   "7 x S 1 2",  "(x) S 1 2 3",
        "0 (x) S 1",  "-7 (x) S 1", "2147483648 (x) S 1",
        "7  (x) S 1", "7 )x( S 1",  "seven (x) S 1 2 3",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        pi_stat stat;
        assert_false(parse(lines[i], &stat));
    }
}

static void kernel_threads_and_zombies_are_told(void **state) {
    (void)state;
    pi_stat stat;
    char line[2048];
    assert_true(parse_fields((fields){.flags = "69238880"}, &stat, line)); /* 0x4208060 */
    assert_true(stat.is_kernel_thread == ((69238880 & 0x200000) != 0));
    assert_true(parse_fields((fields){.flags = "2097152"}, &stat, line));
    assert_true(stat.is_kernel_thread);
    static const char states[] = "RSDTtIPZXx";
    for (size_t i = 0; states[i] != '\0'; i++) {
        char letter[] = {states[i], '\0'};
        assert_true(parse_fields((fields){.state = letter}, &stat, line));
        assert_int_equal(pi_stat_is_dead(&stat),
                         states[i] == 'Z' || states[i] == 'X' || states[i] == 'x');
    }
}

static void an_end_that_has_begun_is_told(void **state) {
    (void)state;
    pi_stat stat;
    char line[2048];
    assert_true(parse_fields((fields){.flags = "4194308"}, &stat, line)); /* 0x400004 */
    assert_true(pi_stat_is_ending(&stat));
    assert_true(parse_fields((fields){.flags = "4194304"}, &stat, line));
    assert_false(pi_stat_is_ending(&stat));
    /* A zombie has ended; where there are other threads it is one thread's end. */
    assert_true(parse_fields((fields){.flags = "4194308", .state = "Z"}, &stat, line));
    assert_false(pi_stat_is_ending(&stat));
    assert_true(parse_fields((fields){.flags = "4194308", .threads = "2"}, &stat, line));
    assert_false(pi_stat_is_ending(&stat));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recorded_line),
        cmocka_unit_test(names_may_hold_anything),
        cmocka_unit_test(a_line_that_was_cut_is_none),
        cmocka_unit_test(numbers_at_their_limits),
        cmocka_unit_test(numbers_beyond_their_limits_are_none),
        cmocka_unit_test(what_is_no_stat_line),
        cmocka_unit_test(kernel_threads_and_zombies_are_told),
        cmocka_unit_test(an_end_that_has_begun_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
