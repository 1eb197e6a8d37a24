/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dump/minidump/minidump.h"
#include "registers_arm64.h"

static void every_recorded_register_at_its_place(void **state) {
    (void)state;
    pi_layout layout;
    laid_out file = {0};
    pi_layout_begin(&layout, NULL);
    pi_write_context_arm64(&layout, &recorded_arm64);
    assert_int_equal(pi_layout_finish(&layout, 0, &file.image, NULL), 0);
    file.bytes = malloc(912);
    assert_int_equal(pi_image_size_bytes(file.image), 912);
    assert_int_equal(pi_image_read_at(file.image, 0, file.bytes, 912, &file.length, NULL), 0);

    assert_int_equal(u32_at(&file, 0), 0x00400007);
    assert_int_equal(u32_at(&file, 4), 0x80000000); /* N: 2 compared with 3 */
    for (unsigned i = 0; i < 29; i++)
        assert_int_equal(u64_at(&file, 8 + 8 * i), 0xf000000000001000u + 0x0001000000000111u * i);
    assert_int_equal(u64_at(&file, 240), 0x5500800790u); /* frame pointer */
    assert_int_equal(u64_at(&file, 248), 0x210314u);     /* link register */
    assert_int_equal(u64_at(&file, 256), 0x5500800790u); /* stack pointer */
    assert_int_equal(u64_at(&file, 264), 0x210328u);     /* program counter */
    assert_memory_equal(file.bytes + 272, "0123456789abcdef", 16);
    assert_memory_equal(file.bytes + 272 + 16, "123456789abcdefg", 16);
    assert_int_equal(u64_at(&file, 272 + 16 * 8), 0x3ff8000000000000u); /* 1.5 */
    assert_int_equal(u64_at(&file, 272 + 16 * 9), 0xbfd0000000000000u); /* -0.25 */
    assert_memory_equal(file.bytes + 272 + 16 * 31, "vwxyzABCDEFGHIJK", 16);
    assert_int_equal(u32_at(&file, 784), 0x00c00000); /* fpcr: towards zero */
    assert_int_equal(u32_at(&file, 788), 0x1);        /* fpsr: an invalid operation */
    for (unsigned i = 792; i < 912; i++)
        assert_int_equal(file.bytes[i], 0);
    laid_out_free(&file);
}

static void a_thread_list_of_arm64_points_at_contexts_of_that_size(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_thread_snapshot threads[2] = {
        {.tid = 4711, .has_registers = 1, .registers.arm64 = recorded_arm64},
        {.tid = 4712, .has_registers = 1, .registers.arm64 = recorded_arm64},
    };
    snapshot.architecture = PI_ARCHITECTURE_ARM64;
    snapshot.threads = threads;
    snapshot.thread_count = 2;
    laid_out file = lay_out(&snapshot);
    uint32_t size, at = stream_at(&file, PI_STREAM_THREAD_LIST, &size);
    assert_int_equal(size, 4 + 2 * 48);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(u64_at(&file, at + 4 + 48 * i + 16), 0); /* no thread control block */
        assert_int_equal(u32_at(&file, at + 4 + 48 * i + 40), 912);
        uint32_t context = u32_at(&file, at + 4 + 48 * i + 44);
        assert_int_equal(u32_at(&file, context), 0x00400007);
        assert_int_equal(u64_at(&file, context + 264), 0x210328u);
    }
    laid_out_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recorded_register_at_its_place),
        cmocka_unit_test(a_thread_list_of_arm64_points_at_contexts_of_that_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
