/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/options.h"

/* As the library knows it, and as callers with older and newer headers do. */
typedef struct known_options {
    uint32_t struct_size;
    uint32_t first;
    uint64_t added_later;
} known_options;
enum { SMALLEST = 8 };

typedef struct newer_options {
    known_options known;
    unsigned char newer[8];
} newer_options;

static int32_t take(const void *given, known_options *known, procinspect_error *error) {
    return pi_options_take(given, known, sizeof *known, SMALLEST, "some_options", error);
}

static void init_zeroes_all_but_the_size(void **state) {
    (void)state;
    newer_options options;
    memset(&options, 0xff, sizeof options);
    pi_options_init(&options, sizeof options);
    assert_int_equal(options.known.struct_size, sizeof options);
    options.known.struct_size = 0;
    assert_memory_equal(&options, &(newer_options){0}, sizeof options);
    pi_options_init(NULL, sizeof options);
    uint32_t untouched = 77;
    pi_options_init(&untouched, 3);
    assert_int_equal(untouched, 77);
    pi_options_init(&untouched, 1u << 20);
    assert_int_equal(untouched, 77);
}

static void nothing_given_is_all_defaults(void **state) {
    (void)state;
    known_options known;
    memset(&known, 0xff, sizeof known);
    assert_int_equal(take(NULL, &known, NULL), PROCINSPECT_OK);
    assert_int_equal(known.struct_size, sizeof known);
    assert_int_equal(known.first, 0);
    assert_int_equal(known.added_later, 0);
}

static void what_an_older_caller_lacks_is_zero(void **state) {
    (void)state;
    struct {
        uint32_t struct_size, first;
        unsigned char beyond[24]; /* must not be read */
    } older = {.struct_size = SMALLEST, .first = 5};
    memset(older.beyond, 0xff, sizeof older.beyond);
    known_options known;
    assert_int_equal(take(&older, &known, NULL), PROCINSPECT_OK);
    assert_int_equal(known.struct_size, sizeof known);
    assert_int_equal(known.first, 5);
    assert_int_equal(known.added_later, 0);
}

static void what_a_newer_caller_sets_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        newer_options newer = {.known = {sizeof newer, 5, 6}};
        known_options known = {.first = 99};
        assert_int_equal(take(&newer, &known, NULL), PROCINSPECT_OK);
        assert_int_equal(known.first, 5);
        assert_int_equal(known.added_later, 6);
        newer.newer[i] = 1;
        known.first = 99;
        procinspect_error error;
        assert_int_equal(take(&newer, &known, &error), PROCINSPECT_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "some_options"));
        assert_int_equal(known.first, 99); /* untouched */
    }
}

static void sizes_that_no_init_sets_are_refused(void **state) {
    (void)state;
    static const uint32_t sizes[] = {0, 4, SMALLEST - 1, 4097, UINT32_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        known_options given = {.struct_size = sizes[i]}, known;
        procinspect_error error;
        assert_int_equal(take(&given, &known, &error), PROCINSPECT_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "some_options_init"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_zeroes_all_but_the_size),
        cmocka_unit_test(nothing_given_is_all_defaults),
        cmocka_unit_test(what_an_older_caller_lacks_is_zero),
        cmocka_unit_test(what_a_newer_caller_sets_is_refused),
        cmocka_unit_test(sizes_that_no_init_sets_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
