/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define FFFD "\xef\xbf\xbd"

/* Boundaries of Unicode's table 3-7, well-formed UTF-8 byte sequences. */
static void a_sequence_is_valid_or_none(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t length, sequence;
    } cases[] = {
        {"", 0, 0},
        {"\x00", 1, 1},
        {"\x7f", 1, 1},
        {"\x80", 1, 0},
        {"\xbf", 1, 0},
        {"\xc0\x80", 2, 0},
        {"\xc1\xbf", 2, 0},
        {"\xc2\x80", 2, 2},
        {"\xdf\xbf", 2, 2},
        {"\xc2\x7f", 2, 0},
        {"\xc2\xc0", 2, 0},
        {"\xc2", 1, 0},
        {"\xe0\x9f\xbf", 3, 0}, /* overlong */
        {"\xe0\xa0\x80", 3, 3},
        {"\xed\x9f\xbf", 3, 3},
        {"\xed\xa0\x80", 3, 0}, /* surrogates */
        {"\xed\xbf\xbf", 3, 0},
        {"\xee\x80\x80", 3, 3},
        {"\xef\xbf\xbf", 3, 3},
        {"\xef\xbf", 2, 0},
        {"\xf0\x8f\xbf\xbf", 4, 0}, /* overlong */
        {"\xf0\x90\x80\x80", 4, 4},
        {"\xf4\x8f\xbf\xbf", 4, 4},
        {"\xf4\x90\x80\x80", 4, 0}, /* beyond U+10FFFF */
        {"\xf5\x80\x80\x80", 4, 0},
        {"\xff", 1, 0},
        {"\xf0\x90\x80", 3, 0},
        {"ab", 2, 1},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        assert_int_equal(pi_utf8_sequence((const unsigned char *)cases[i].bytes, cases[i].length),
                         cases[i].sequence);
}

static void a_prefix_ends_between_characters(void **state) {
    (void)state;
    static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"; /* 1, 2, 3 and 4 bytes */
    static const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10};
    for (size_t length = 0; length < LENGTH(expected); length++)
        assert_int_equal(pi_utf8_prefix(text, length), expected[length]);
}

/* The bytes are looked at in words, and singly where a word isn't ASCII or isn't there. */
static void validity_at_every_place_and_length(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        bool is_valid, is_text;
    } cases[] = {
        {"z", 1, true, true},          {"\0", 1, true, false},    {"\xc3\xa4", 2, true, true},
        {"\xe2\x82", 2, false, false}, {"\xff", 1, false, false}, {"\x80", 1, false, false},
    };
    for (size_t length = 0; length < 80; length++) {
        for (size_t i = 0; i < LENGTH(cases); i++)
            for (size_t at = 0; at + cases[i].length <= length; at++) {
                char *exact = malloc(length); /* for the sanitizer */
                memset(exact, 'a', length);
                memcpy(exact + at, cases[i].bytes, cases[i].length);
                assert_int_equal(pi_utf8_is_valid(exact, length), cases[i].is_valid);
                assert_int_equal(pi_utf8_is_text(exact, length), cases[i].is_text);
                free(exact);
            }
    }
    assert_true(pi_utf8_is_valid(NULL, 0));
    assert_true(pi_utf8_is_text(NULL, 0));
}

static void text_stays_where_it_is(void **state) {
    (void)state;
    pi_arena *arena = pi_arena_new(0, 4096);
    static const char text[] = "\xc3\xa4 text", broken[] = "\xc3 text";
    assert_ptr_equal(pi_utf8_terminated(arena, text, sizeof text - 1), text);
    assert_string_equal(pi_utf8_terminated(arena, broken, sizeof broken - 1), FFFD " text");
    pi_arena_free_root(pi_arena_root(arena));
}

static void repaired_is(const char *bytes, size_t length, const char *expected) {
    pi_arena *arena = pi_arena_new(0, 4096);
    char *repaired = pi_utf8_repair(arena, bytes, length);
    assert_string_equal(repaired, expected);
    pi_arena_free_root(pi_arena_root(arena));
}

static void invalid_bytes_become_replacement_characters(void **state) {
    (void)state;
    repaired_is(NULL, 0, "");
    repaired_is("plain", 5, "plain");
    repaired_is("a\0b", 3, "a" FFFD "b");
    repaired_is("\xff\xfe", 2, FFFD FFFD);
    repaired_is("\xe2\x82", 2, FFFD FFFD); /* cut short */
    repaired_is("\xe2\x82z", 3, FFFD FFFD "z");
    repaired_is("\xed\xa0\x80", 3, FFFD FFFD FFFD);
    repaired_is("new\nline\t\x7f", 10, "new\nline\t\x7f");
    repaired_is("\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80");
}

static void repair_tells_of_an_exhausted_arena(void **state) {
    (void)state;
    pi_arena *arena = pi_arena_new(0, 8);
    assert_null(pi_utf8_repair(arena, "\xff\xff\xff", 3)); /* nine bytes repaired */
    assert_true(pi_arena_limit_reached(arena));
    pi_arena_free_root(pi_arena_root(arena));
}

static void repair_into_a_buffer_cuts_between_characters(void **state) {
    (void)state;
    char buffer[8];
    memset(buffer, 'x', sizeof buffer);
    pi_utf8_repair_into(buffer, 0, "abc", 3);
    assert_int_equal(buffer[0], 'x');
    pi_utf8_repair_into(buffer, 1, "abc", 3);
    assert_string_equal(buffer, "");
    pi_utf8_repair_into(buffer, 4, "abc", 3);
    assert_string_equal(buffer, "abc");
    pi_utf8_repair_into(buffer, 4, "abcd", 4);
    assert_string_equal(buffer, "abc");
    pi_utf8_repair_into(buffer, 4, "ab\xc3\xa4", 4);
    assert_string_equal(buffer, "ab");
    pi_utf8_repair_into(buffer, sizeof buffer, "a\nb", 3);
    assert_string_equal(buffer, "a" FFFD "b");
    pi_utf8_repair_into(buffer, sizeof buffer, "\x1b\xff", 2);
    assert_string_equal(buffer, FFFD FFFD);
}

static void numbers_end_at_the_limit_of_64_bits(void **state) {
    (void)state;
    static const struct {
        const char *text;
        unsigned base;
        size_t used;
        uint64_t value;
    } cases[] = {
        {"0", 10, 1, 0},
        {"007x", 10, 3, 7},
        {"18446744073709551615", 10, 20, UINT64_MAX},
        {"18446744073709551616", 10, 0, 0},
        {"99999999999999999999999", 10, 0, 0},
        {"", 10, 0, 0},
        {"-1", 10, 0, 0},
        {"+1", 10, 0, 0},
        {" 1", 10, 0, 0},
        {"1f", 10, 1, 1},
        {"ffffffffffffffff", 16, 16, UINT64_MAX},
        {"FfFf", 16, 4, 0xffff},
        {"10000000000000000", 16, 0, 0},
        {"0x10", 16, 1, 0},
        {"g", 16, 0, 0},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        uint64_t value = 0;
        size_t length = strlen(cases[i].text);
        assert_int_equal(pi_parse_u64(cases[i].text, length, cases[i].base, &value), cases[i].used);
        assert_int_equal(value, cases[i].value);
        assert_int_equal(pi_parse_u64_whole(cases[i].text, length, cases[i].base, &value),
                         length != 0 && cases[i].used == length);
    }
    uint64_t value = 0;
    assert_int_equal(pi_parse_u64("123456", 3, 10, &value), 3); /* the length counts, not a NUL */
    assert_int_equal(value, 123);
}

static void case_of_ascii_letters_is_ignored(void **state) {
    (void)state;
    assert_true(pi_ascii_equal_ignoring_case("PaTh_1", 6, "pAtH_1", 6));
    assert_false(pi_ascii_equal_ignoring_case("path", 4, "path_", 5));
    assert_false(pi_ascii_equal_ignoring_case("[", 1, "{", 1)); /* 0x20 apart, and no letters */
    assert_false(pi_ascii_equal_ignoring_case("\xc4", 1, "\xe4", 1));
    assert_true(pi_ascii_contains_ignoring_case("MY_SECRET_KEY", 13, "secret", 6));
    assert_true(pi_ascii_contains_ignoring_case("KEY", 3, "key", 3));
    assert_true(pi_ascii_contains_ignoring_case("", 0, "", 0));
    assert_true(pi_ascii_contains_ignoring_case("a", 1, "", 0));
    assert_false(pi_ascii_contains_ignoring_case("", 0, "a", 1));
    assert_false(pi_ascii_contains_ignoring_case("KEYS", 3, "keys", 4));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sequence_is_valid_or_none),
        cmocka_unit_test(a_prefix_ends_between_characters),
        cmocka_unit_test(validity_at_every_place_and_length),
        cmocka_unit_test(text_stays_where_it_is),
        cmocka_unit_test(invalid_bytes_become_replacement_characters),
        cmocka_unit_test(repair_tells_of_an_exhausted_arena),
        cmocka_unit_test(repair_into_a_buffer_cuts_between_characters),
        cmocka_unit_test(numbers_end_at_the_limit_of_64_bits),
        cmocka_unit_test(case_of_ascii_letters_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
