/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CAPACITY = 16 * 1024, CHUNK = 1024 };

static pi_redaction *redaction;

static int begin(void **state) {
    (void)state;
    redaction = pi_redaction_new();
    return redaction == NULL;
}

static int end(void **state) {
    (void)state;
    pi_redaction_free(redaction);
    return 0;
}

static void add(const char *name, const char *value) {
    assert_true(
        pi_redaction_add(redaction, name, strlen(name), value, value != NULL ? strlen(value) : 0));
}

/* A whole file with its values masked. */
static void mask_all(const char *file, size_t length, char *masked) {
    memcpy(masked, file, length);
    pi_redaction_apply(redaction, (const unsigned char *)file, length, 0, (unsigned char *)masked,
                       length);
}

#define assert_masked(file, expected)                                                              \
    do {                                                                                           \
        char masked[sizeof(file)];                                                                 \
        mask_all(file, sizeof(file), masked);                                                      \
        assert_int_equal(sizeof(file), sizeof(expected));                                          \
        assert_memory_equal(masked, expected, sizeof(file));                                       \
    } while (0)

static void a_value_is_masked_wherever_it_stands(void **state) {
    (void)state;
    add("PASSWORD", "correct horse");
    assert_masked("correct horse", "*************");
    assert_masked("a\0correct horsecorrect horses\n", "a\0**************************s\n");
    assert_masked("postgres://me:correct horse@db/", "postgres://me:*************@db/");
    assert_masked("Correct horse correct hors", "Correct horse correct hors");
}

static void what_stands_behind_the_name_is_masked(void **state) {
    (void)state;
    add("PASSWORD", "correct horse");
    add("SET_SINCE", NULL);
    add("PIN", "4711");
    assert_masked("\0PASSWORD=another\0x", "\0PASSWORD=*******\0x");
    assert_masked("\0SET_SINCE=since\0SET_SINCE2=x\0", "\0SET_SINCE=*****\0SET_SINCE2=x\0");
    assert_masked("\0PIN=4711\0PIN 4711\0PIN=\0=PIN=4711", "\0PIN=****\0PIN 4711\0PIN=\0=PIN=4711");
    assert_masked("\0THEPIN=4711\0pin=4711", "\0THEPIN=4711\0pin=4711");
    assert_masked("PIN=4711", "PIN=4711"); /* no NUL before it */
}

static void empty_and_long_names(void **state) {
    (void)state;
    enum { LONG = PI_REDACTION_LONGEST_NAME };
    char name[LONG + 2], file[LONG + 32] = "";
    memset(name, 'n', sizeof name);
    for (size_t length = LONG; length <= LONG + 1; length++) {
        assert_true(pi_redaction_add(redaction, name, length, "12345678", 8));
        char masked[sizeof file];
        memset(file, 0, sizeof file);
        memcpy(file + 1, name, length);
        memcpy(file + 1 + length, "=1234567", 8);
        mask_all(file, sizeof file, masked);
        assert_memory_equal(masked + 1 + length, length == LONG ? "=*******" : "=1234567", 8);
        memcpy(file + 1 + length, "=12345678", 9);
        mask_all(file, sizeof file, masked);
        assert_memory_equal(masked + 1 + length, "=********", 9);
    }
    add("", "nameless");
    assert_masked("\0=any\0x nameless", "\0=***\0x ********");
}

static void nothing_reaches_further_than_it_may(void **state) {
    (void)state;
    static char file[CAPACITY], masked[CAPACITY];
    static const char head[] = "\0TOKEN=";
    add("TOKEN", NULL);
    memset(file, 'v', sizeof file);
    memcpy(file, head, sizeof head - 1);
    mask_all(file, sizeof file, masked);
    size_t first = sizeof head - 1, last = first + PI_REDACTION_REACH - 1;
    for (size_t i = 0; i < sizeof file; i++)
        assert_int_equal(masked[i], i < first || i > last ? file[i] : PI_REDACTION_MASK);
}

static void long_values_are_masked_as_a_whole(void **state) {
    (void)state;
    static char file[CAPACITY], masked[CAPACITY], value[5 * CHUNK + 7];
    const size_t lengths[] = {CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, sizeof value};
    srandom(1);
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (char)('a' + random() % 26);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        pi_redaction_free(redaction);
        redaction = pi_redaction_new();
        assert_true(pi_redaction_add(redaction, "KEY", 3, value, lengths[i]));
        memset(file, '.', sizeof file);
        memcpy(file + 777, value, lengths[i]);
        mask_all(file, sizeof file, masked);
        for (size_t at = 0; at < sizeof file; at++)
            assert_int_equal(masked[at], at < 777 || at >= 777 + lengths[i] ? '.' : '*');
    }
}

/* However many begin alike: none is left out. */
static void values_that_begin_alike(void **state) {
    (void)state;
    char value[32], file[64], masked[64];
    for (int i = 0; i < 100; i++) {
        snprintf(value, sizeof value, "/usr/share/%d", i);
        add("X", value);
        add("X", value);
    }
    for (int i = 0; i < 100; i++) {
        memset(file, 0, sizeof file);
        int length = snprintf(file, sizeof file, "(/usr/share/%d", i);
        mask_all(file, sizeof file, masked);
        assert_int_equal(masked[0], '(');
        for (int at = 1; at < length; at++)
            assert_int_equal(masked[at], '*');
        assert_int_equal(masked[length], '\0');
    }
}

static void many_names_and_values(void **state) {
    (void)state;
    char name[32], value[32], file[80], masked[80];
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "NAME%d", i);
        snprintf(value, sizeof value, "%d is a value", i * 7);
        add(name, value);
    }
    for (int i = 0; i < 20000; i += 97) {
        memset(file, 0, sizeof file);
        int length = snprintf(file + 1, sizeof file - 1, "NAME%d=new", i);
        snprintf(file + 40, 40, "(%d is a value)", i * 7);
        mask_all(file, sizeof file, masked);
        assert_memory_equal(masked + 1 + length - 4, "=***", 4);
        assert_int_equal(masked[41], '*');
        assert_int_equal(masked[40 + strlen(file + 40) - 1], ')');
    }
}

/* --- Any part of a file is that part of the whole --- */

static int32_t read_text(const pi_memory_source *source, uint64_t address, void *buffer,
                         size_t length, procinspect_error *error) {
    (void)source;
    (void)error;
    static const char text[] = "\0KEY=abc\0abcabcabc aabcabcab\0KEY=\0";
    for (size_t i = 0; i < length; i++) { /* beginnings of it, of lengths that look random */
        uint64_t at = address + i, piece = at / 16;
        ((char *)buffer)[i] = text[(piece * 2654435761u / 65536 + at) % (sizeof text - 1)];
    }
    return PROCINSPECT_OK;
}

static void assert_parts(const pi_image *image, const unsigned char *whole, size_t size) {
    static unsigned char part[CAPACITY];
    for (int i = 0; i < 3000; i++) {
        size_t offset = (size_t)random() % size;
        size_t wanted = (size_t)random() % (i % 2 == 0 ? 16 : CAPACITY), length;
        assert_int_equal(pi_image_read_at(image, offset, part, wanted, &length, NULL), 0);
        assert_int_equal(length, wanted < size - offset ? wanted : size - offset);
        assert_memory_equal(part, whole + offset, length);
    }
}

static void any_part_is_that_part_of_the_whole(void **state) {
    (void)state;
    static pi_memory_range ranges[] = {{0x10000, 300000}, {0x90000, 5}, {0xa0000, 300000}};
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    memory.source.read = read_text;
    snapshot.memory = ranges;
    snapshot.memory_count = 3;
    laid_out file = lay_out(&snapshot);
    add("KEY", "abcabcab");
    add("K", "abcabcabc");
    pi_image_redact(file.image, redaction);

    /* Masked in one piece, which no reading of the image is. */
    unsigned char *whole = malloc(file.length);
    assert_non_null(whole);
    memcpy(whole, file.bytes, file.length);
    pi_redaction_apply(redaction, file.bytes, file.length, 0, whole, file.length);
    assert_memory_not_equal(whole, file.bytes, file.length);
    assert_parts(file.image, whole, file.length);

    size_t length;
    assert_int_equal(pi_image_read_at(file.image, 0, file.bytes, file.length, &length, NULL), 0);
    assert_memory_equal(file.bytes, whole, file.length);
    assert_int_equal(pi_image_read_at(file.image, file.length, whole, 1, &length, NULL), 0);
    assert_int_equal(length, 0);
    free(whole);
    laid_out_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_value_is_masked_wherever_it_stands, begin, end),
        cmocka_unit_test_setup_teardown(what_stands_behind_the_name_is_masked, begin, end),
        cmocka_unit_test_setup_teardown(empty_and_long_names, begin, end),
        cmocka_unit_test_setup_teardown(nothing_reaches_further_than_it_may, begin, end),
        cmocka_unit_test_setup_teardown(long_values_are_masked_as_a_whole, begin, end),
        cmocka_unit_test_setup_teardown(values_that_begin_alike, begin, end),
        cmocka_unit_test_setup_teardown(many_names_and_values, begin, end),
        cmocka_unit_test_setup_teardown(any_part_is_that_part_of_the_whole, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
