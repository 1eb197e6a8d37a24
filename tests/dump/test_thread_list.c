/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dump/minidump/minidump.h"

static pi_thread_snapshot running(int32_t tid, uint64_t stack, uint64_t stack_bytes) {
    pi_thread_snapshot thread = {
        .tid = tid, .priority = 20, .has_registers = 1, .stack = {stack, stack_bytes}};
    thread.registers.amd64.rsp = stack + 128;
    thread.registers.amd64.fs_base = UINT64_C(0x7f0000000000) + (uint64_t)tid;
    return thread;
}

static laid_out with_threads(pi_snapshot *snapshot, pi_thread_snapshot *threads, size_t count) {
    snapshot->threads = threads;
    snapshot->thread_count = count;
    return lay_out(snapshot);
}

/* The entry of the thread list with this index; *count is how many it has. */
static uint32_t entry_at(const laid_out *file, uint32_t index, uint32_t *count) {
    uint32_t size, at = stream_at(file, PI_STREAM_THREAD_LIST, &size);
    *count = u32_at(file, at);
    assert_int_equal(size, 4 + 48 * *count);
    return at + 4 + 48 * index;
}

static void every_member_at_its_place(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_memory_range ranges[] = {{0x10000, 256}, {0x20000, 4096}};
    snapshot.memory = ranges;
    snapshot.memory_count = 2;
    pi_thread_snapshot threads[] = {running(4711, 0x20040, 4032), running(4712, 0x10000, 256)};
    threads[1].priority = -51;
    laid_out file = with_threads(&snapshot, threads, 2);
    uint32_t count, entry = entry_at(&file, 0, &count);
    assert_int_equal(count, 2);
    assert_int_equal(u32_at(&file, entry), 4711);
    assert_int_equal(u32_at(&file, entry + 4), 0);
    assert_int_equal(u32_at(&file, entry + 8), 0);
    assert_int_equal(u32_at(&file, entry + 12), 20);
    assert_int_equal(u64_at(&file, entry + 16), 0x7f0000001267);
    assert_int_equal(u64_at(&file, entry + 24), 0x20040);
    assert_int_equal(u32_at(&file, entry + 32), 4032);
    assert_memory(&file, u32_at(&file, entry + 36), 0x20040, 4032);
    assert_int_equal(u32_at(&file, entry + 40), 1232);
    assert_int_equal(u64_at(&file, u32_at(&file, entry + 44) + 152), 0x200c0);

    entry = entry_at(&file, 1, &count);
    assert_int_equal(u32_at(&file, entry), 4712);
    assert_int_equal((int32_t)u32_at(&file, entry + 12), -51);
    assert_int_equal(u64_at(&file, entry + 24), 0x10000);
    assert_memory(&file, u32_at(&file, entry + 36), 0x10000, 256);
    assert_int_equal(u64_at(&file, u32_at(&file, entry + 44) + 152), 0x10080);
    laid_out_free(&file);
}

static void a_stack_is_the_part_of_it_that_the_memory_list_has(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_memory_range ranges[] = {{0x20000, 4096}, {0x40000, 4096}};
    snapshot.memory = ranges;
    snapshot.memory_count = 2;
    pi_thread_snapshot threads[] = {
        running(1, 0x20f00, 8192), /* ends beyond the range */
        running(2, 0x21000, 16),   /* begins where the range ends */
        running(3, 0x1fff0, 32),   /* begins before it */
        running(4, 0x40ff8, 8),    /* its last word */
        running(5, 0, 0),          /* none */
        running(6, UINT64_MAX - 15, 16),
    };
    laid_out file = with_threads(&snapshot, threads, 6);
    static const struct {
        uint64_t address;
        uint32_t size;
    } expected[] = {{0x20f00, 256}, {0, 0}, {0, 0}, {0x40ff8, 8}, {0, 0}, {0, 0}};
    uint32_t count;
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t entry = entry_at(&file, i, &count);
        assert_int_equal(u64_at(&file, entry + 24), expected[i].address);
        assert_int_equal(u32_at(&file, entry + 32), expected[i].size);
        assert_memory(&file, u32_at(&file, entry + 36), expected[i].address, expected[i].size);
        if (expected[i].size == 0)
            assert_int_equal(u32_at(&file, entry + 36), 0);
    }
    laid_out_free(&file);
}

static void only_threads_with_registers_and_no_tid_twice(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_thread_snapshot threads[] = {running(50, 0, 0), running(7, 0, 0),  running(7, 0, 0),
                                    running(9, 0, 0),  running(50, 0, 0), running(51, 0, 0)};
    threads[3].has_registers = 0;
    laid_out file = with_threads(&snapshot, threads, 6);
    static const uint32_t tids[] = {50, 7, 51};
    uint32_t count;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(u32_at(&file, entry_at(&file, i, &count)), tids[i]);
    assert_int_equal(count, 3);
    laid_out_free(&file);
}

static void no_threads(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    laid_out file = with_threads(&snapshot, NULL, 0);
    uint32_t count;
    entry_at(&file, 0, &count);
    assert_int_equal(count, 0);
    laid_out_free(&file);
}

static void five_thousand_threads(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_thread_snapshot *threads = calloc(COUNT, sizeof *threads);
    pi_memory_range *ranges = calloc(COUNT, sizeof *ranges);
    for (size_t i = 0; i < COUNT; i++) {
        ranges[i] = (pi_memory_range){0x10000 + 0x4000 * i, 160 + i % 64};
        threads[i] = running((int32_t)(100 + i), ranges[i].address, ranges[i].size_bytes);
    }
    snapshot.memory = ranges;
    snapshot.memory_count = COUNT;
    laid_out file = with_threads(&snapshot, threads, COUNT);
    uint32_t count;
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t entry = entry_at(&file, i, &count);
        assert_int_equal(u32_at(&file, entry), 100 + i);
        assert_int_equal(u32_at(&file, entry + 32), ranges[i].size_bytes);
        assert_memory(&file, u32_at(&file, entry + 36), ranges[i].address, 160 + i % 64);
        assert_int_equal(u64_at(&file, u32_at(&file, entry + 44) + 152), ranges[i].address + 128);
    }
    assert_int_equal(count, COUNT);
    laid_out_free(&file);
    free(threads);
    free(ranges);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_at_its_place),
        cmocka_unit_test(a_stack_is_the_part_of_it_that_the_memory_list_has),
        cmocka_unit_test(only_threads_with_registers_and_no_tid_twice),
        cmocka_unit_test(no_threads),
        cmocka_unit_test(five_thousand_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
