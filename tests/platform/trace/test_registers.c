/* SPDX-License-Identifier: MIT */
/* Register sets as Linux hands them out: each register has a value of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "platform/linux/trace/register_sets.h"

enum { AMD64_COUNT = 27, FXSAVE_BYTES = 512, ARM64_COUNT = 34, FPSIMD_BYTES = 528 };

/* NT_PRSTATUS and NT_PRFPREG as the kernel lays them out on x86-64, another value in each. */
static const uint64_t amd64_general[AMD64_COUNT] = {0x7ffe6bb8c0a8,
                                                    0x55f0c3a5ddb8,
                                                    0x7f0000001312,
                                                    0x1,
                                                    0x7ffe6bb8bf90,
                                                    0x7ffe6bb8c098,
                                                    0x246,
                                                    0x7f8b21c0a1d0,
                                                    0x7f8b21dd7d30,
                                                    0x7f8b21e1b280,
                                                    0xfffffffffffffdfe,
                                                    0x7f8b21cd1a63,
                                                    0x7ffe6bb8c0b8,
                                                    0x7ffe6bb8c09a,
                                                    0x7000000000000001,
                                                    0x22,
                                                    0x7f8b21cd1a65,
                                                    0x33,
                                                    0x10246,
                                                    0x7ffe6bb8bf78,
                                                    0x2b,
                                                    0x7f8b21be9740,
                                                    0xdeadbeef00,
                                                    0x11,
                                                    0x12,
                                                    0x13,
                                                    0x14};

static void fill(unsigned char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)(i * 31 + i / 256 + 7);
}

static void test_amd64(void **state) {
    unsigned char fxsave[FXSAVE_BYTES];
    pi_registers registers;
    (void)state;
    fill(fxsave, sizeof fxsave);
    assert_true(pi_registers_from_sets_amd64(amd64_general, sizeof amd64_general, fxsave,
                                             sizeof fxsave, &registers));
    const pi_registers_amd64 *amd64 = &registers.amd64;
    const uint64_t wide[] = {amd64->r15, amd64->r14, amd64->r13, amd64->r12, amd64->rbp,
                             amd64->rbx, amd64->r11, amd64->r10, amd64->r9,  amd64->r8,
                             amd64->rax, amd64->rcx, amd64->rdx, amd64->rsi, amd64->rdi};
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
        assert_true(wide[i] == amd64_general[i]);
    assert_true(amd64->rip == 0x7f8b21cd1a65 && amd64->rsp == 0x7ffe6bb8bf78);
    assert_true(amd64->eflags == 0x10246 && amd64->cs == 0x33 && amd64->ss == 0x2b);
    assert_true(amd64->fs_base == 0x7f8b21be9740 && amd64->gs_base == 0xdeadbeef00);
    assert_true(amd64->ds == 0x11 && amd64->es == 0x12 && amd64->fs == 0x13 && amd64->gs == 0x14);
    assert_memory_equal(amd64->fxsave, fxsave, sizeof fxsave);
    assert_true(pi_registers_instruction_pointer(PI_ARCHITECTURE_AMD64, &registers) ==
                0x7f8b21cd1a65);
}

/* x0…x30, sp, pc, pstate; v0…v31, fpsr, fpcr, two reserved words. */
static void test_arm64(void **state) {
    uint64_t general[ARM64_COUNT];
    unsigned char floating[FPSIMD_BYTES];
    pi_registers registers;
    (void)state;
    for (uint64_t i = 0; i < 31; i++)
        general[i] = 0x1000000000000000 + i;
    general[31] = 0xffffd5f7a9c0;
    general[32] = 0xaaaac1d40d3c;
    general[33] = 0x60001000;
    fill(floating, sizeof floating);
    memcpy(floating + 512, &(uint32_t){0x08000010}, 4);
    memcpy(floating + 516, &(uint32_t){0x00c00000}, 4);
    assert_true(pi_registers_from_sets_arm64(general, sizeof general, floating, sizeof floating,
                                             &registers));
    const pi_registers_arm64 *arm64 = &registers.arm64;
    assert_memory_equal(arm64->x, general, sizeof arm64->x);
    assert_true(arm64->sp == 0xffffd5f7a9c0 && arm64->pc == 0xaaaac1d40d3c);
    assert_true(arm64->pstate == 0x60001000);
    assert_true(arm64->fpsr == 0x08000010 && arm64->fpcr == 0x00c00000);
    assert_memory_equal(arm64->v, floating, sizeof arm64->v);
    assert_true(pi_registers_instruction_pointer(PI_ARCHITECTURE_ARM64, &registers) ==
                0xaaaac1d40d3c);
}

/* A 32-bit thread answers with shorter sets. */
static void test_other_sizes_are_refused(void **state) {
    static const unsigned char bytes[1024];
    pi_registers registers, before;
    (void)state;
    memset(&before, 0x5a, sizeof before);
    registers = before;
    assert_false(pi_registers_from_sets_amd64(bytes, 68, bytes, FXSAVE_BYTES, &registers));
    assert_false(pi_registers_from_sets_amd64(bytes, 216, bytes, FXSAVE_BYTES - 1, &registers));
    assert_false(pi_registers_from_sets_amd64(bytes, 0, bytes, 0, &registers));
    assert_false(pi_registers_from_sets_arm64(bytes, 72, bytes, FPSIMD_BYTES, &registers));
    assert_false(pi_registers_from_sets_arm64(bytes, 272, bytes, FPSIMD_BYTES + 1, &registers));
    assert_memory_equal(&registers, &before, sizeof registers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_amd64),
        cmocka_unit_test(test_arm64),
        cmocka_unit_test(test_other_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
