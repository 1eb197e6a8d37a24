/* SPDX-License-Identifier: MIT */
#include "zip/random_look.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "zip/made_up.h"

enum { BLOCK_BYTES = 128 * 1024 };

static made_up source;
static unsigned char block[BLOCK_BYTES];

static int looks_random(made_up_kind kind) {
    made_up_init(&source, kind, UINT64_MAX);
    made_up_copy(&source, 0, block, BLOCK_BYTES);
    return pi_zip_looks_random(block, BLOCK_BYTES);
}

static void random_bytes_do_at_any_length(void **state) {
    (void)state;
    assert_true(looks_random(MADE_UP_RANDOM));
    for (size_t length = 8192; length <= BLOCK_BYTES; length += 1021)
        assert_true(pi_zip_looks_random(block + BLOCK_BYTES - length, length));
}

static void code_and_zeros_do_not(void **state) {
    (void)state;
    assert_false(looks_random(MADE_UP_CODE));
    assert_false(looks_random(MADE_UP_ZEROS));
}

static void few_bytes_never_do(void **state) {
    (void)state;
    assert_true(looks_random(MADE_UP_RANDOM));
    for (size_t length = 0; length < 8192; length++)
        assert_false(pi_zip_looks_random(block, length));
}

static void what_is_there_twice_does_not(void **state) {
    (void)state;
    /* Pages of random bytes, each of which is there twice, and a counter: all values are common. */
    static const size_t periods[] = {256, 4096, 32 * 1024};
    for (size_t i = 0; i < 3; i++) {
        assert_true(looks_random(MADE_UP_RANDOM));
        for (size_t at = periods[i]; at < BLOCK_BYTES; at++)
            block[at] = block[at - periods[i]];
        assert_false(pi_zip_looks_random(block, BLOCK_BYTES));
    }
    for (size_t at = 0; at < BLOCK_BYTES; at++)
        block[at] = (unsigned char)at;
    assert_false(pi_zip_looks_random(block, BLOCK_BYTES));
}

static void half_random_does_not(void **state) {
    (void)state;
    assert_true(looks_random(MADE_UP_RANDOM));
    memset(block, 0, BLOCK_BYTES / 2);
    assert_false(pi_zip_looks_random(block, BLOCK_BYTES));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bytes_do_at_any_length),
        cmocka_unit_test(code_and_zeros_do_not),
        cmocka_unit_test(few_bytes_never_do),
        cmocka_unit_test(what_is_there_twice_does_not),
        cmocka_unit_test(half_random_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
