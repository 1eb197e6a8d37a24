/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dump/minidump/minidump.h"

static const uint32_t region_max = 64 * 1024 * 1024;

/* Only laid out, and the first bytes read: the memory itself would be too much. */
static laid_out head_of(const pi_snapshot *snapshot, size_t length) {
    laid_out file = {0};
    assert_int_equal(pi_minidump_lay_out(snapshot, NULL, 0, &file.image, NULL), 0);
    file.bytes = malloc(length);
    assert_int_equal(pi_image_read_at(file.image, 0, file.bytes, length, &file.length, NULL), 0);
    return file;
}

static void ranges_stand_in_the_file_in_a_row(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_memory_range ranges[] = {{0x1001, 255}, {0x4000, 4096}, {0x7fffffffe000, 3}};
    snapshot.memory = ranges;
    snapshot.memory_count = 3;
    laid_out file = lay_out(&snapshot);
    uint32_t size, at = stream_at(&file, PI_STREAM_MEMORY_LIST, &size);
    assert_int_equal(size, 4 + 3 * 16);
    assert_int_equal(u32_at(&file, at), 3);
    uint32_t expected = u32_at(&file, at + 16);
    assert_int_equal(expected % 16, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(u64_at(&file, at + 4 + 16 * i), ranges[i].address);
        assert_int_equal(u32_at(&file, at + 12 + 16 * i), ranges[i].size_bytes);
        assert_int_equal(u32_at(&file, at + 16 + 16 * i), expected);
        assert_memory(&file, expected, ranges[i].address, (size_t)ranges[i].size_bytes);
        expected += (uint32_t)ranges[i].size_bytes;
    }
    assert_int_equal(file.length, expected); /* the memory is what the file ends with */
    laid_out_free(&file);
}

static void no_memory(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    laid_out file = lay_out(&snapshot);
    uint32_t size, at = stream_at(&file, PI_STREAM_MEMORY_LIST, &size);
    assert_int_equal(size, 4);
    assert_int_equal(u32_at(&file, at), 0);
    laid_out_free(&file);
}

static void a_range_too_large_for_readers_is_several_regions(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_memory_range ranges[] = {{0x10000000, region_max},
                                {0x20000000, region_max + 1u},
                                {0x40000000, UINT64_C(3) * region_max}};
    snapshot.memory = ranges;
    snapshot.memory_count = 3;
    laid_out file = head_of(&snapshot, 600);
    uint32_t size, at = stream_at(&file, PI_STREAM_MEMORY_LIST, &size);
    static const struct {
        uint64_t address;
        uint32_t size;
    } expected[] = {{0x10000000, 0x4000000}, {0x20000000, 0x4000000}, {0x24000000, 1},
                    {0x40000000, 0x4000000}, {0x44000000, 0x4000000}, {0x48000000, 0x4000000}};
    assert_int_equal(u32_at(&file, at), 6);
    assert_int_equal(size, 4 + 6 * 16);
    uint64_t rva = u32_at(&file, at + 16);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(u64_at(&file, at + 4 + 16 * i), expected[i].address);
        assert_int_equal(u32_at(&file, at + 12 + 16 * i), expected[i].size);
        assert_int_equal(u32_at(&file, at + 16 + 16 * i), rva);
        rva += expected[i].size;
    }
    assert_int_equal(pi_image_size_bytes(file.image), rva);
    unsigned char last;
    size_t length;
    assert_int_equal(pi_image_read_at(file.image, rva - 1, &last, 1, &length, NULL), 0);
    assert_int_equal(last, fake_byte(0x4bffffff));
    laid_out_free(&file);
}

static void memory_that_begins_above_4_gib_of_the_file_is_refused(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_memory_range ranges[] = {{0x100000000, UINT64_C(0x100000000)}, {0x300000000, 16}};
    pi_image *image;
    procinspect_error error;
    snapshot.memory = ranges;
    snapshot.memory_count = 2;
    assert_int_equal(pi_minidump_lay_out(&snapshot, NULL, 0, &image, &error),
                     PROCINSPECT_ERROR_TOO_LARGE);
    assert_non_null(strstr(error.message, "4 GiB"));
    /* All of them begin below: the end may be above. */
    snapshot.memory_count = 1;
    ranges[0].size_bytes -= region_max;
    assert_int_equal(pi_minidump_lay_out(&snapshot, NULL, 0, &image, &error), 0);
    pi_image_free(image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_stand_in_the_file_in_a_row),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(a_range_too_large_for_readers_is_several_regions),
        cmocka_unit_test(memory_that_begins_above_4_gib_of_the_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
