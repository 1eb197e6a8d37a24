/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "dump/layout.h"

static void numbers_are_little_endian_and_packed(void **state) {
    (void)state;
    static const unsigned char expected[] = {0x01, 0x02, 0x01, 0x04, 0x03, 0x02, 0x01, 0x08,
                                             0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 'a',
                                             'b',  0,    0,    0,    0,    0,    0,    0};
    pi_layout layout;
    pi_image *image;
    unsigned char bytes[64];
    size_t length;
    pi_layout_begin(&layout, NULL);
    pi_layout_u8(&layout, 0x01);
    pi_layout_u16(&layout, 0x0102);
    pi_layout_u32(&layout, 0x01020304);
    pi_layout_u64(&layout, 0x0102030405060708u);
    pi_layout_bytes(&layout, "ab", 2);
    pi_layout_zeros(&layout, 1);
    pi_layout_align(&layout, 8);
    pi_layout_align(&layout, 8);
    assert_int_equal(layout.position, sizeof expected);
    assert_int_equal(pi_layout_finish(&layout, 0, &image, NULL), 0);
    assert_int_equal(pi_image_read_at(image, 0, bytes, sizeof bytes, &length, NULL), 0);
    assert_int_equal(length, sizeof expected);
    assert_memory_equal(bytes, expected, sizeof expected);
    pi_image_free(image);
}

static void numbers_set_later_stay_in_place_when_the_bytes_grow(void **state) {
    (void)state;
    pi_layout layout;
    pi_image *image;
    unsigned char bytes[12];
    size_t length;
    pi_layout_begin(&layout, NULL);
    pi_layout_zeros(&layout, 12);
    pi_layout_borrow(&layout, "x", 1);
    pi_layout_zeros(&layout, 1000000);
    pi_layout_set_u32(&layout, 4, 0xaabbccdd);
    assert_int_equal(pi_layout_finish(&layout, 0, &image, NULL), 0);
    assert_int_equal(pi_image_size_bytes(image), 1000013);
    assert_int_equal(pi_image_read_at(image, 0, bytes, sizeof bytes, &length, NULL), 0);
    assert_memory_equal(bytes, "\0\0\0\0\xdd\xcc\xbb\xaa\0\0\0\0", 12);
    pi_image_free(image);
}

static void more_than_the_limit_is_refused_with_both_sizes(void **state) {
    (void)state;
    pi_layout layout;
    pi_image *image = (pi_image *)&layout;
    procinspect_error error;
    pi_layout_begin(&layout, NULL);
    pi_layout_zeros(&layout, 1001);
    assert_int_equal(pi_layout_finish(&layout, 1000, &image, &error), PROCINSPECT_ERROR_TOO_LARGE);
    assert_ptr_equal(image, &layout);
    assert_non_null(strstr(error.message, "1001 bytes"));
    assert_non_null(strstr(error.message, "allows 1000;"));

    pi_layout_begin(&layout, NULL);
    pi_layout_zeros(&layout, 1000);
    assert_int_equal(pi_layout_finish(&layout, 1000, &image, &error), 0);
    pi_image_free(image);
}

static void positions_above_4_gib_are_refused(void **state) {
    (void)state;
    pi_layout layout;
    pi_image *image;
    procinspect_error error;
    pi_layout_begin(&layout, NULL);
    pi_layout_memory(&layout, (pi_memory_range){0, UINT32_MAX});
    assert_int_equal(pi_layout_rva(&layout, layout.position), UINT32_MAX);
    assert_int_equal(layout.failure, 0);
    pi_layout_memory(&layout, (pi_memory_range){0, 1});
    assert_int_equal(pi_layout_rva(&layout, layout.position), 0);
    assert_int_equal(pi_layout_finish(&layout, 0, &image, &error), PROCINSPECT_ERROR_TOO_LARGE);
    assert_non_null(strstr(error.message, "4 GiB"));
}

static void sizes_that_wrap_around_are_refused(void **state) {
    (void)state;
    pi_layout layout;
    pi_image *image;
    pi_layout_begin(&layout, NULL);
    pi_layout_memory(&layout, (pi_memory_range){0, UINT64_MAX});
    pi_layout_memory(&layout, (pi_memory_range){0, 1});
    assert_int_equal(pi_layout_finish(&layout, 0, &image, NULL), PROCINSPECT_ERROR_TOO_LARGE);
}

static void a_writer_without_memory_fails_the_whole(void **state) {
    (void)state;
    pi_layout layout;
    pi_image *image;
    procinspect_error error;
    pi_layout_begin(&layout, NULL);
    pi_layout_u32(&layout, 1);
    pi_layout_fail(&layout, PROCINSPECT_ERROR_NO_MEMORY);
    pi_layout_u32(&layout, 2);
    pi_layout_set_u32(&layout, 0, 3);
    assert_int_equal(layout.position, 4);
    assert_int_equal(pi_layout_finish(&layout, 0, &image, &error), PROCINSPECT_ERROR_NO_MEMORY);
    assert_int_equal(error.code, PROCINSPECT_ERROR_NO_MEMORY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_little_endian_and_packed),
        cmocka_unit_test(numbers_set_later_stay_in_place_when_the_bytes_grow),
        cmocka_unit_test(more_than_the_limit_is_refused_with_both_sizes),
        cmocka_unit_test(positions_above_4_gib_are_refused),
        cmocka_unit_test(sizes_that_wrap_around_are_refused),
        cmocka_unit_test(a_writer_without_memory_fails_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
