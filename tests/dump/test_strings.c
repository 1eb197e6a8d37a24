/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dump/minidump/minidump.h"

/* Writes one string into a file of its own, and returns that. */
static laid_out with_string(pi_bytes text, pi_bytes rest) {
    pi_minidump minidump = {0};
    laid_out file = {0};
    pi_layout_begin(&minidump.layout, NULL);
    pi_layout_u8(&minidump.layout, 0xff); /* so that it has to be aligned */
    assert_int_equal(pi_minidump_put_string(&minidump, text, rest), 4);
    assert_int_equal(pi_layout_finish(&minidump.layout, 0, &file.image, NULL), 0);
    size_t size = (size_t)pi_image_size_bytes(file.image);
    file.bytes = malloc(size);
    assert_int_equal(pi_image_read_at(file.image, 0, file.bytes, size, &file.length, NULL), 0);
    return file;
}

/* The string of these bytes is these UTF-16 units, and nothing stands behind its NUL. */
static void assert_units(const char *bytes, size_t length, const uint16_t *units, size_t count) {
    laid_out file = with_string((pi_bytes){bytes, length}, (pi_bytes){0});
    assert_int_equal(u32_at(&file, 4), 2 * count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(u16_at(&file, 8 + 2 * i), units[i]);
    assert_int_equal(u16_at(&file, 8 + 2 * count), 0);
    assert_int_equal(file.length, 8 + 2 * count + 2);
    laid_out_free(&file);
}

static void characters_of_every_length(void **state) {
    (void)state;
    static const uint16_t units[] = {'a', 0xe9, 0x20ac, 0xd83d, 0xde00, 0xdbff, 0xdfff};
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf";
    assert_units(text, sizeof text - 1, units, 7);
    assert_units("", 0, units, 0);
}

static void what_is_no_text_is_replaced(void **state) {
    (void)state;
    static const uint16_t lone[] = {0xfffd, 'x'};
    assert_units("\xff"
                 "x",
                 2, lone, 2);
    assert_units("\0x", 2, lone, 2);
    static const uint16_t cut[] = {'x', 0xfffd, 0xfffd};
    assert_units("x\xe2\x82", 3, cut, 3);
    /* A surrogate written as UTF-8, and an overlong slash. */
    static const uint16_t three[] = {0xfffd, 0xfffd, 0xfffd};
    assert_units("\xed\xa0\x80", 3, three, 3);
    assert_units("\xc0\xaf", 2, three, 2);
    static const uint16_t line[] = {'a', '\n', 'b'};
    assert_units("a\nb", 3, line, 3);
}

static void both_texts_stand_in_a_row(void **state) {
    (void)state;
    laid_out file = with_string((pi_bytes){"/lib/", 5}, (pi_bytes){"libz.so.1", 9});
    assert_string(&file, 4, "/lib/libz.so.1");
    laid_out_free(&file);
}

static void what_exceeds_the_readers_limit_is_cut_at_its_beginning(void **state) {
    (void)state;
    char directory[3000];
    memset(directory, 'd', sizeof directory);
    laid_out file = with_string((pi_bytes){directory, 1015}, (pi_bytes){"libz.so.1", 9});
    assert_int_equal(u32_at(&file, 4), 2 * 1024);
    laid_out_free(&file);
    file = with_string((pi_bytes){directory, sizeof directory}, (pi_bytes){"libz.so.1", 9});
    assert_int_equal(u32_at(&file, 4), 2 * 1024);
    assert_int_equal(u16_at(&file, 8 + 2 * 1014), 'd');
    assert_int_equal(u16_at(&file, 8 + 2 * 1015), 'l');
    assert_int_equal(u16_at(&file, 8 + 2 * 1023), '1');
    laid_out_free(&file);
}

static void a_cut_never_parts_a_surrogate_pair(void **state) {
    (void)state;
    char text[4 + 1023];
    memcpy(text, "\xf0\x9f\x98\x80", 4);
    memset(text + 4, 'x', 1023);
    laid_out file = with_string((pi_bytes){text, sizeof text}, (pi_bytes){0});
    assert_int_equal(u32_at(&file, 4), 2 * 1023);
    assert_int_equal(u16_at(&file, 8), 'x');
    laid_out_free(&file);
}

static void all_of_the_first_text_can_be_cut(void **state) {
    (void)state;
    char name[1500];
    memset(name, 'n', sizeof name);
    laid_out file = with_string((pi_bytes){"/lib/", 5}, (pi_bytes){name, sizeof name});
    assert_int_equal(u32_at(&file, 4), 2 * 1024);
    assert_int_equal(u16_at(&file, 8), 'n');
    laid_out_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_of_every_length),
        cmocka_unit_test(what_is_no_text_is_replaced),
        cmocka_unit_test(both_texts_stand_in_a_row),
        cmocka_unit_test(what_exceeds_the_readers_limit_is_cut_at_its_beginning),
        cmocka_unit_test(a_cut_never_parts_a_surrogate_pair),
        cmocka_unit_test(all_of_the_first_text_can_be_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
