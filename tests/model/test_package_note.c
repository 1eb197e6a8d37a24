/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/package_note.h"

/* A copy of exactly this length, so that a sanitizer sees reads beyond. */
static bool parse_length(const char *text, size_t length, pi_package_note *note) {
    char *copy = malloc(length == 0 ? 1 : length);
    assert_non_null(copy);
    memcpy(copy, text, length);
    bool result = pi_package_note_parse(copy, length, note);
    free(copy);
    return result;
}

static bool parse(const char *text, pi_package_note *note) {
    *note = (pi_package_note){0};
    return parse_length(text, strlen(text), note);
}

static void takes_name_and_version(void **state) {
    (void)state;
    pi_package_note note;
    assert_true(
        parse("{\"type\":\"deb\",\"os\":\"debian\",\"name\":\"zlib1g\",\"version\":\"1:1.2-1\","
              "\"debugInfoUrl\":\"https://x\"}",
              &note));
    assert_true(note.has_name && note.has_version);
    assert_string_equal(note.name, "zlib1g");
    assert_string_equal(note.version, "1:1.2-1");
}

static void skips_every_other_value(void **state) {
    (void)state;
    pi_package_note note;
    assert_true(parse(" { \"a\" : [ 1 , -2.5e+3 , { \"name\" : \"inner\" } , [ ] , { } ] ,\n"
                      "\t\"b\":null,\"c\":true,\"d\":{\"version\":[\"]\",\"}\\\"\"]},"
                      "\"name\":\"outer\" } ",
                      &note));
    assert_string_equal(note.name, "outer");
    assert_true(note.has_name);
    assert_false(note.has_version);
    assert_true(parse("{}", &note));
    assert_false(note.has_name);
}

static void understands_escapes(void **state) {
    (void)state;
    pi_package_note note;
    assert_true(parse("{\"n\\u0061me\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\\ud83d\\ude00\"}",
                      &note));
    assert_string_equal(note.name, "\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void refuses_what_is_no_such_object(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "[]",
        "\"name\"",
        "{",
        "{\"name\"}",
        "{\"name\":}",
        "{\"name\":1}",
        "{\"name\":\"a\",}",
        "{\"name\":\"a\"}x",
        "{\"name\":\"a\"}{",
        "{'name':'a'}",
        "{\"name\":\"a\nb\"}",
        "{\"name\":\"\\x\"}",
        "{\"name\":\"\\u12\"}",
        "{\"name\":\"\\u0000\"}",
        "{\"name\":\"\\ud83d\"}",
        "{\"name\":\"\\ud83d\\u0041\"}",
        "{\"name\":\"\\ude00\"}",
        "{\"a\":[1}}",
        "{\"a\":[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        pi_package_note note;
        if (parse(texts[i], &note))
            fail_msg("taken: %s", texts[i]);
        assert_false(note.has_name);
    }
}

static void texts_have_a_limit(void **state) {
    (void)state;
    char text[PI_PACKAGE_TEXT_SIZE + 32] = "{\"version\":\"";
    size_t begin = strlen(text);
    memset(text + begin, 'x', PI_PACKAGE_TEXT_SIZE - 1);
    strcpy(text + begin + PI_PACKAGE_TEXT_SIZE - 1, "\"}");
    pi_package_note note;
    assert_true(parse(text, &note));
    assert_int_equal(strlen(note.version), PI_PACKAGE_TEXT_SIZE - 1);
    strcpy(text + begin + PI_PACKAGE_TEXT_SIZE - 1, "x\"}");
    assert_false(parse(text, &note));
}

static void may_end_anywhere(void **state) {
    (void)state;
    static const char text[] =
        "{\"a\":[1,{\"b\":\"\\u00e9\"}],\"name\":\"n\\ud83d\\ude00\",\"version\":\"1\"}";
    pi_package_note note;
    for (size_t length = 0; length < sizeof text - 1; length++)
        assert_false(parse_length(text, length, &note));
    assert_true(parse_length(text, sizeof text - 1, &note));
    assert_false(parse_length(text, sizeof text, &note)); /* with its NUL */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_name_and_version),
        cmocka_unit_test(skips_every_other_value),
        cmocka_unit_test(understands_escapes),
        cmocka_unit_test(texts_have_a_limit),
        cmocka_unit_test(refuses_what_is_no_such_object),
        cmocka_unit_test(may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
