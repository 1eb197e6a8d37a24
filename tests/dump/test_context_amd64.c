/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dump/minidump/minidump.h"

/* Each member has another value, and each value says where it belongs. */
static pi_registers_amd64 marked_registers(void) {
    pi_registers_amd64 registers = {.rax = 0x100,
                                    .rbx = 0x101,
                                    .rcx = 0x102,
                                    .rdx = 0x103,
                                    .rsi = 0x104,
                                    .rdi = 0x105,
                                    .rbp = 0x106,
                                    .rsp = 0x107,
                                    .r8 = 0x108,
                                    .r9 = 0x109,
                                    .r10 = 0x110,
                                    .r11 = 0x111,
                                    .r12 = 0x112,
                                    .r13 = 0x113,
                                    .r14 = 0x114,
                                    .r15 = 0x115,
                                    .rip = 0x116,
                                    .eflags = 0x246,
                                    .cs = 0x33,
                                    .ds = 0x41,
                                    .es = 0x42,
                                    .fs = 0x43,
                                    .gs = 0x44,
                                    .ss = 0x2b,
                                    .fs_base = 1,
                                    .gs_base = 2,
                                    .fxsave = {0x7f}};
    for (unsigned i = 0; i < sizeof registers.fxsave; i++)
        registers.fxsave[i] = (unsigned char)(i * 7 + 3);
    return registers;
}

static void every_register_at_its_place(void **state) {
    (void)state;
    pi_registers_amd64 registers = marked_registers();
    pi_layout layout;
    laid_out file = {0};
    pi_layout_begin(&layout, NULL);
    pi_write_context_amd64(&layout, &registers);
    assert_int_equal(pi_layout_finish(&layout, 0, &file.image, NULL), 0);
    file.bytes = malloc(1232);
    assert_int_equal(pi_image_size_bytes(file.image), 1232);
    assert_int_equal(pi_image_read_at(file.image, 0, file.bytes, 1232, &file.length, NULL), 0);

    static const struct {
        unsigned offset;
        uint64_t value;
    } general[] = {
        {120, 0x100}, {128, 0x102}, {136, 0x103}, {144, 0x101}, {152, 0x107}, {160, 0x106},
        {168, 0x104}, {176, 0x105}, {184, 0x108}, {192, 0x109}, {200, 0x110}, {208, 0x111},
        {216, 0x112}, {224, 0x113}, {232, 0x114}, {240, 0x115}, {248, 0x116},
    };
    for (size_t i = 0; i < sizeof general / sizeof general[0]; i++)
        assert_int_equal(u64_at(&file, general[i].offset), general[i].value);
    assert_int_equal(u32_at(&file, 48), 0x10000f);
    assert_memory_equal(file.bytes + 52, registers.fxsave + 24, 4); /* mxcsr */
    static const uint16_t segments[] = {0x33, 0x41, 0x42, 0x43, 0x44, 0x2b};
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(u16_at(&file, 56 + 2 * i), segments[i]);
    assert_int_equal(u32_at(&file, 68), 0x246);
    assert_memory_equal(file.bytes + 256, registers.fxsave, 512);
    for (unsigned i = 0; i < 1232; i++)
        if (i < 48 || (i >= 72 && i < 120) || i >= 768)
            assert_int_equal(file.bytes[i], 0);
    laid_out_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_register_at_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
