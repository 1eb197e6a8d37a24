/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dump/minidump/minidump.h"

static void header_and_directory(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    snapshot.report.effective_type = 0x20220;
    laid_out file = lay_out(&snapshot);
    assert_memory_equal(file.bytes, "MDMP\x93\xa7\0\0", 8);
    assert_int_equal(u32_at(&file, 8), 6);
    assert_int_equal(u32_at(&file, 12), 32);
    assert_int_equal(u32_at(&file, 16), 0);
    assert_int_equal(u32_at(&file, 20), 1700000000);
    assert_int_equal(u64_at(&file, 24), 0x20220);
    static const uint32_t types[] = {7, 15, 24, 4, 3, 5};
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(u32_at(&file, 32 + 12 * i), types[i]);
        assert_int_equal(u32_at(&file, 32 + 12 * i + 8) % 4, 0);
    }
    laid_out_free(&file);
}

static void a_time_before_1970_is_none(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    snapshot.captured_at_unix_ns = -1500000000;
    laid_out file = lay_out(&snapshot);
    assert_int_equal(u32_at(&file, 20), 0);
    laid_out_free(&file);
}

static void the_report_is_copied(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    char report[] = "{\"pid\":4711}";
    laid_out file = {0};
    char soft_errors[] = "[{}]";
    const pi_dump_texts texts = {{report, sizeof report - 1}, {soft_errors, 4}};
    assert_int_equal(pi_minidump_lay_out(&snapshot, &texts, 0, &file.image, NULL), 0);
    memset(report, 'x', sizeof report);
    memset(soft_errors, 'x', sizeof soft_errors);
    file.bytes = malloc((size_t)pi_image_size_bytes(file.image));
    pi_image_read_at(file.image, 0, file.bytes, (size_t)pi_image_size_bytes(file.image),
                     &file.length, NULL);
    uint32_t size, at = stream_at(&file, 0x50490001, &size);
    assert_int_equal(size, 12);
    assert_memory_equal(file.bytes + at, "{\"pid\":4711}", 12);
    at = stream_at(&file, 0x4d7a0004, &size);
    assert_int_equal(size, 4);
    assert_memory_equal(file.bytes + at, "[{}]", 4);
    laid_out_free(&file);
}

static void the_limit_holds_to_the_byte(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_memory_range range = {0x1000, 5000};
    snapshot.memory = &range;
    snapshot.memory_count = 1;
    laid_out file = lay_out(&snapshot);
    procinspect_error error;
    pi_image *image = NULL;
    assert_int_equal(pi_minidump_lay_out(&snapshot, NULL, file.length - 1, &image, &error),
                     PROCINSPECT_ERROR_TOO_LARGE);
    assert_null(image);
    assert_int_equal(pi_minidump_lay_out(&snapshot, NULL, file.length, &image, &error), 0);
    assert_int_equal(pi_image_size_bytes(image), file.length);
    pi_image_free(image);
    laid_out_free(&file);
}

static void everything_at_once_leaves_no_stream_out(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    const pi_dump_texts texts = {{"{}", 2}, {"[]", 2}};
    laid_out file = {0};
    snapshot.report.effective_type = PROCINSPECT_DUMP_TYPE_ALL;
    for (int i = 0; i < PI_TEXT_COUNT; i++)
        snapshot.texts[i] = (pi_bytes){"odd", 3};
    assert_int_equal(pi_minidump_lay_out(&snapshot, &texts, 0, &file.image, NULL), 0);
    file.bytes = malloc(12);
    assert_int_equal(pi_image_read_at(file.image, 0, file.bytes, 12, &file.length, NULL), 0);
    assert_int_equal(u32_at(&file, 8), PI_MINIDUMP_MAX_STREAMS);
    laid_out_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_and_directory),
        cmocka_unit_test(a_time_before_1970_is_none),
        cmocka_unit_test(the_report_is_copied),
        cmocka_unit_test(the_limit_holds_to_the_byte),
        cmocka_unit_test(everything_at_once_leaves_no_stream_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
