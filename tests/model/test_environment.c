/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "model/environment.h"

#define BLOCK(text) ((pi_bytes){text, sizeof(text) - 1})

/* "name=value|…" of what the split gives. */
static void splits_into(pi_bytes block, const char *expected) {
    pi_environment_entries entries = {0};
    assert_true(pi_environment_split(block, &entries));
    char all[1024] = "";
    for (size_t i = 0; i < entries.count; i++)
        sprintf(all + strlen(all), "%.*s=%.*s|", (int)entries.items[i].name_length,
                entries.items[i].name, (int)entries.items[i].value_length, entries.items[i].value);
    assert_string_equal(all, expected);
    pi_environment_entries_free(&entries);
}

static void variables_keep_their_order(void **state) {
    (void)state;
    splits_into(BLOCK(""), "");
    splits_into(BLOCK("Z=1\0A=2\0M=3\0"), "Z=1|A=2|M=3|");
    splits_into(BLOCK("A=b=c\0"), "A=b=c|");
    splits_into(BLOCK("EMPTY=\0=odd\0"), "EMPTY=|=odd|");
    splits_into(BLOCK("A=1\0LAST=no end mark"), "A=1|LAST=no end mark|");
}

static void what_is_no_variable_is_left_out(void **state) {
    (void)state;
    splits_into(BLOCK("no equals sign\0A=1\0\0\0B=2\0more"), "A=1|B=2|");
    splits_into(BLOCK("\0\0\0"), "");
}

static void the_first_of_a_name_counts(void **state) {
    (void)state;
    splits_into(BLOCK("A=1\0B=2\0A=3\0B=4\0A=5\0"), "A=1|B=2|");
    splits_into(BLOCK("A=\0A=1\0AA=2\0"), "A=|AA=2|"); /* an empty value is one */
    splits_into(BLOCK("a=1\0A=2\0"), "a=1|A=2|");      /* case makes another name */
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* 4 MiB of names of which each is compared with many: the time must not grow with their square. */
static void hostile_blocks_take_no_square_of_time(void **state) {
    (void)state;
    enum { SIZE = 4 * 1024 * 1024 };
    char *block = malloc(SIZE);
    size_t length = 0, made = 0;
    while (length + 16 < SIZE)
        length += (size_t)sprintf(block + length, "%zx=", made++ / 2) + 1;
    double begin = seconds();
    pi_environment_entries entries = {0};
    assert_true(pi_environment_split((pi_bytes){block, length}, &entries));
    assert_true(seconds() - begin < 5); /* a square would take minutes */
    assert_int_equal(entries.count, (made + 1) / 2);
    const pi_environment_entry *last = &entries.items[entries.count - 1];
    assert_memory_equal(last->name, block + length - last->name_length - 2, last->name_length);
    pi_environment_entries_free(&entries);
    free(block);
}

static void role_is(pi_bytes block, bool is_site, const char *name, const char *type) {
    pi_site_role role = pi_site_role_of(block);
    assert_int_equal(role.is_management_site, is_site);
    const char *expected[] = {name, type};
    const pi_bytes given[] = {role.web_job_name, role.web_job_type};
    for (size_t i = 0; i < 2; i++) {
        if (expected[i] == NULL) {
            assert_null(given[i].data);
            continue;
        }
        assert_non_null(given[i].data);
        assert_int_equal(given[i].length, strlen(expected[i]));
        assert_memory_equal(given[i].data, expected[i], given[i].length);
    }
}

static void the_role_of_a_site(void **state) {
    (void)state;
    role_is(BLOCK(""), false, NULL, NULL);
    role_is(BLOCK("PATH=/\0WEBJOBS_NAME=mail\0WEBJOBS_TYPE=continuous\0"), false, "mail",
            "continuous");
    role_is(BLOCK("WEBJOBS_NAME=\0"), false, "", NULL); /* there, and empty */
    role_is(BLOCK("WEBJOBS_TYPE=x\0"), false, NULL, "x");
    role_is(BLOCK("APP_POOL_ID=~1site\0"), true, NULL, NULL);
    role_is(BLOCK("APP_POOL_ID=~1\0"), true, NULL, NULL);
    role_is(BLOCK("APP_POOL_ID=~\0"), false, NULL, NULL);
    role_is(BLOCK("APP_POOL_ID=site~1\0"), false, NULL, NULL);
    role_is(BLOCK("XWEBJOBS_NAME=a\0WEBJOBS_NAMES=b\0webjobs_name=c\0"), false, NULL, NULL);
}

static void the_first_of_a_name_decides_the_role(void **state) {
    (void)state;
    role_is(BLOCK("WEBJOBS_NAME=one\0WEBJOBS_NAME=two\0"), false, "one", NULL);
    role_is(BLOCK("APP_POOL_ID=site\0APP_POOL_ID=~1site\0"), false, NULL, NULL);
    role_is(BLOCK("APP_POOL_ID=~1site\0APP_POOL_ID=site\0"), true, NULL, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_keep_their_order),
        cmocka_unit_test(what_is_no_variable_is_left_out),
        cmocka_unit_test(the_first_of_a_name_counts),
        cmocka_unit_test(hostile_blocks_take_no_square_of_time),
        cmocka_unit_test(the_role_of_a_site),
        cmocka_unit_test(the_first_of_a_name_decides_the_role),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
