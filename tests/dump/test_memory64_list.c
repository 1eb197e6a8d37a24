/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dump/minidump/minidump.h"

#define GIB (UINT64_C(1) << 30)

static pi_thread_snapshot thread_at(int32_t tid, uint64_t code, uint64_t stack,
                                    uint64_t stack_bytes) {
    pi_thread_snapshot thread = {
        .tid = tid, .has_registers = 1, .stack = {stack, stack_bytes}, .name = {"a", 1}};
    thread.registers.amd64.rip = code;
    thread.registers.amd64.rsp = stack + 128;
    return thread;
}

static pi_snapshot full_snapshot(fake_memory *memory, pi_memory_range *ranges, size_t count,
                                 pi_thread_snapshot *threads, size_t thread_count) {
    pi_snapshot snapshot = bare_snapshot(memory);
    snapshot.report.effective_type = PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY;
    snapshot.memory = ranges;
    snapshot.memory_count = count;
    snapshot.threads = threads;
    snapshot.thread_count = thread_count;
    return snapshot;
}

/* The head only: some of these files would be too large. */
static laid_out head_of(const pi_snapshot *snapshot) {
    enum { HEAD_BYTES = 64 * 1024 };
    laid_out file = {0};
    assert_int_equal(pi_minidump_lay_out(snapshot, NULL, 0, &file.image, NULL), 0);
    file.bytes = malloc(HEAD_BYTES);
    assert_non_null(file.bytes);
    assert_int_equal(pi_image_read_at(file.image, 0, file.bytes, HEAD_BYTES, &file.length, NULL),
                     0);
    return file;
}

/* The file has the memory of this address there. */
static void assert_byte(const laid_out *file, uint64_t position, uint64_t address) {
    unsigned char byte;
    size_t length;
    assert_int_equal(pi_image_read_at(file->image, position, &byte, 1, &length, NULL), 0);
    assert_int_equal(length, 1);
    assert_int_equal(byte, fake_byte(address));
}

/* What every list promises; where its data begin. */
static uint64_t check_list(const laid_out *file, const pi_memory_range *expected, size_t count) {
    uint32_t size, at = stream_at(file, PI_STREAM_MEMORY64_LIST, &size);
    assert_int_equal(size, 16 + 16 * count);
    assert_int_equal(u64_at(file, at), count);
    uint64_t base = u64_at(file, at + 8), position = base;
    for (size_t i = 0; i < count; i++) {
        assert_true(u64_at(file, at + 16 + 16 * i) == expected[i].address);
        assert_true(u64_at(file, at + 24 + 16 * i) == expected[i].size_bytes);
        assert_byte(file, position, expected[i].address);
        position += expected[i].size_bytes;
        assert_byte(file, position - 1, expected[i].address + expected[i].size_bytes - 1);
    }
    assert_true(pi_image_size_bytes(file->image) == position);
    return base;
}

static void assert_region(const laid_out *file, size_t index, uint64_t address, uint64_t size,
                          uint64_t rva) {
    uint32_t bytes, at = stream_at(file, PI_STREAM_MEMORY_LIST, &bytes);
    assert_true(index < u32_at(file, at));
    assert_true(u64_at(file, at + 4 + 16 * index) == address);
    assert_int_equal(u32_at(file, at + 12 + 16 * index), size);
    assert_int_equal(u32_at(file, at + 16 + 16 * index), rva);
}

static void assert_stack(const laid_out *file, size_t index, uint64_t address, uint64_t size,
                         uint64_t rva) {
    uint32_t bytes, at = stream_at(file, PI_STREAM_THREAD_LIST, &bytes);
    assert_true(u64_at(file, at + 4 + 48 * index + 24) == address);
    assert_int_equal(u32_at(file, at + 4 + 48 * index + 32), size);
    assert_int_equal(u32_at(file, at + 4 + 48 * index + 36), rva);
}

static void without_full_memory_there_is_none(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    snapshot.report.effective_type = 0x201;
    laid_out file = lay_out(&snapshot);
    uint32_t size;
    assert_int_equal(stream_at(&file, PI_STREAM_MEMORY64_LIST, &size), 0);
    laid_out_free(&file);
}

static void nothing_at_all(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = full_snapshot(&memory, NULL, 0, NULL, 0);
    laid_out file = lay_out(&snapshot);
    check_list(&file, NULL, 0);
    laid_out_free(&file);
}

/* MemoryList has what is unwound with, to the end of the range that it is a part of. */
static void stacks_and_code_are_in_both_lists(void **state) {
    (void)state;
    fake_memory memory;
    pi_memory_range ranges[] = {{0x1000, 0x3000}, {0x10000, 0x1000}, {0x20000, 0x4000}};
    pi_thread_snapshot threads[] = {thread_at(1, 0x2100, 0x22f80, 0x1080),
                                    thread_at(2, 0x3000, 0x21000, 0x100)};
    pi_snapshot snapshot = full_snapshot(&memory, ranges, 3, threads, 2);
    laid_out file = lay_out(&snapshot);
    uint64_t base = check_list(&file, ranges, 3);
    uint32_t size, at = stream_at(&file, PI_STREAM_MEMORY_LIST, &size);
    assert_int_equal(u32_at(&file, at), 2);
    assert_region(&file, 0, 0x2080, 0x1f80, base + 0x1080);
    assert_region(&file, 1, 0x21000, 0x3000, base + 0x5000);
    assert_stack(&file, 0, 0x22f80, 0x1080, base + 0x6f80);
    assert_stack(&file, 1, 0x21000, 0x100, base + 0x5000);
    laid_out_free(&file);
}

/* What MemoryList addresses comes first then, in pages of its own. */
static void above_4_gib_stacks_come_first(void **state) {
    (void)state;
    fake_memory memory;
    pi_memory_range ranges[] = {
        {0x400000, 0x10000}, {8 * GIB, 6 * GIB}, {UINT64_C(0x7ff000000000), 0x8000}};
    pi_thread_snapshot threads[] = {
        thread_at(1, 0x401234, UINT64_C(0x7ff000002f80), 0x5080),
        /* In the middle of the largest, and too deep for all of it to be there. */
        thread_at(2, 10 * GIB, 9 * GIB + 0x80, 3 * GIB),
        thread_at(3, 1, 13 * GIB, 0x1000), /* the code of this one is nowhere */
    };
    pi_snapshot snapshot = full_snapshot(&memory, ranges, 3, threads, 3);
    laid_out file = head_of(&snapshot);
    const uint64_t mib = 1 << 20, code = 10 * GIB - 4096;
    const pi_memory_range expected[] = {
        {0x401000, 0x1000},
        {9 * GIB, mib + 4096},
        {code, 8192},
        {13 * GIB, 0x1000},
        {UINT64_C(0x7ff000002000), 0x6000},
        {0x400000, 0x1000},
        {0x402000, 0xe000},
        {8 * GIB, GIB},
        {9 * GIB + mib + 4096, GIB - mib - 8192},
        {10 * GIB + 4096, 3 * GIB - 4096},
        {13 * GIB + 4096, GIB - 4096},
        {UINT64_C(0x7ff000000000), 0x2000},
    };
    uint64_t base = check_list(&file, expected, sizeof expected / sizeof expected[0]);
    uint64_t stacks = base + 0x1000, last = stacks + mib + 4096 + 8192 + 0x1000;
    uint32_t size, at = stream_at(&file, PI_STREAM_MEMORY_LIST, &size);
    assert_int_equal(u32_at(&file, at), 5);
    assert_region(&file, 0, 0x4011b4, 0xe4c, base + 0x1b4);
    assert_region(&file, 1, 9 * GIB + 0x80, mib + 4096 - 0x80, stacks + 0x80);
    assert_region(&file, 4, UINT64_C(0x7ff000002f80), 0x5080, last + 0xf80);
    assert_stack(&file, 0, UINT64_C(0x7ff000002f80), 0x5080, last + 0xf80);
    assert_stack(&file, 1, 9 * GIB + 0x80, mib + 4096 - 0x80, stacks + 0x80);
    laid_out_free(&file);
}

/* Stacks that overlap, one behind the last range, one at its end, none that any range holds. */
static void needs_that_lead_nowhere(void **state) {
    (void)state;
    fake_memory memory;
    pi_memory_range ranges[] = {{0x1000, 0x1000}, {0x10000, 6 * GIB}};
    pi_thread_snapshot threads[] = {thread_at(1, UINT64_MAX, UINT64_MAX - 0x1000, 0x1000),
                                    thread_at(2, 0, 0x11000, 0x3000),
                                    thread_at(3, 0x1fff, 0x12000, 0x3000),
                                    thread_at(4, 0x900, 0x10000 + 6 * GIB - 0x100, 0x100)};
    pi_snapshot snapshot = full_snapshot(&memory, ranges, 2, threads, 4);
    laid_out file = head_of(&snapshot);
    const pi_memory_range expected[] = {{0x1000, 0x1000},
                                        {0x11000, 0x4000},
                                        {0x10000 + 6 * GIB - 0x1000, 0x1000},
                                        {0x10000, 0x1000},
                                        {0x15000, 6 * GIB - 0x6000}};
    check_list(&file, expected, 5);
    assert_stack(&file, 0, 0, 0, 0);
    laid_out_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_full_memory_there_is_none),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(stacks_and_code_are_in_both_lists),
        cmocka_unit_test(above_4_gib_stacks_come_first),
        cmocka_unit_test(needs_that_lead_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
