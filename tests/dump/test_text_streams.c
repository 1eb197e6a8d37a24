/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dump/minidump/minidump.h"

static void each_text_in_its_stream_byte_for_byte(void **state) {
    (void)state;
    static const struct {
        pi_system_text text;
        uint32_t stream;
        pi_bytes bytes;
    } texts[] = {
        {PI_TEXT_CPU_INFO, 0x47670003, {"processor\t: 0\n", 14}},
        {PI_TEXT_STATUS, 0x47670004, {"Name:\tx\n", 8}},
        {PI_TEXT_OS_RELEASE, 0x47670005, {"ID=debian\n", 10}},
        {PI_TEXT_COMMAND_LINE, 0x47670006, {"a\0b c\0\xff\0", 8}},
        {PI_TEXT_ENVIRONMENT, 0x47670007, {"A=1\0B=\n\0", 8}},
        {PI_TEXT_AUXILIARY_VECTOR, 0x47670008, {"\x21\0\0\0\0\0\0\0\1\2\3\4\5\6\7\0", 16}},
        {PI_TEXT_MAPS, 0x47670009, {"0-1 r-xp", 8}},
        {PI_TEXT_LIMITS, 0x4d7a0003, {"Limit", 5}},
    };
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        snapshot.texts[texts[i].text] = texts[i].bytes;
    laid_out file = lay_out(&snapshot);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint32_t size, at = stream_at(&file, texts[i].stream, &size);
        assert_int_equal(size, texts[i].bytes.length);
        assert_memory_equal(file.bytes + at, texts[i].bytes.data, size);
    }
    assert_int_equal(u32_at(&file, 8), 14);
    laid_out_free(&file);
}

static void texts_that_are_not_there_have_no_stream(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    snapshot.texts[PI_TEXT_ENVIRONMENT] = (pi_bytes){"", 0};
    laid_out file = lay_out(&snapshot);
    uint32_t size;
    for (uint32_t type = 0x47670003; type <= 0x47670009; type++)
        assert_int_equal(stream_at(&file, type, &size), 0);
    assert_int_equal(stream_at(&file, 0x4d7a0003, &size), 0);
    assert_int_equal(stream_at(&file, 0x50490001, &size), 0);
    assert_int_equal(u32_at(&file, 8), 6);
    laid_out_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_text_in_its_stream_byte_for_byte),
        cmocka_unit_test(texts_that_are_not_there_have_no_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
