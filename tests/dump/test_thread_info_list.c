/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dump/minidump/minidump.h"

static pi_thread_snapshot thread(int32_t tid) {
    return (pi_thread_snapshot){.tid = tid,
                                .has_registers = 1,
                                .has_times = 1,
                                .has_affinity = 1,
                                .start_time_unix_ns = INT64_C(1700000000123456789),
                                .user_cpu_ns = 1234567899,
                                .kernel_cpu_ns = 99,
                                .affinity = UINT64_C(0x8000000000000005)};
}

static laid_out with_threads(pi_snapshot *snapshot, pi_thread_snapshot *threads, size_t count) {
    snapshot->report.effective_type |= PROCINSPECT_DUMP_TYPE_WITH_THREAD_INFO;
    snapshot->threads = threads;
    snapshot->thread_count = count;
    return lay_out(snapshot);
}

/* The stream, its header checked for `count` threads. */
static uint32_t stream_of(const laid_out *file, uint32_t count) {
    uint32_t size, at = stream_at(file, PI_STREAM_THREAD_INFO_LIST, &size);
    assert_true(at != 0);
    assert_int_equal(size, 12 + 64 * count);
    assert_int_equal(u32_at(file, at), 12);
    assert_int_equal(u32_at(file, at + 4), 64);
    assert_int_equal(u32_at(file, at + 8), count);
    return at;
}

static void every_member_at_its_place(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_thread_snapshot threads[] = {thread(4711), thread(4712)};
    laid_out file = with_threads(&snapshot, threads, 2);
    uint32_t at = stream_of(&file, 2) + 12;
    for (unsigned i = 0; i < 2; i++, at += 64) {
        assert_int_equal(u32_at(&file, at), 4711 + i);
        assert_int_equal(u32_at(&file, at + 4), 0);
        assert_int_equal(u32_at(&file, at + 8), 0);
        assert_int_equal(u32_at(&file, at + 12), 259);
        /* 100 ns since 1601: `date -u -d @1700000000` is 2023-11-14 22:13:20 */
        assert_int_equal(u64_at(&file, at + 16), UINT64_C(133444736001234567));
        assert_int_equal(u64_at(&file, at + 24), 0);
        assert_int_equal(u64_at(&file, at + 32), 0);
        assert_int_equal(u64_at(&file, at + 40), 12345678);
        assert_int_equal(u64_at(&file, at + 48), 0);
        assert_int_equal(u64_at(&file, at + 56), UINT64_C(0x8000000000000005));
    }
    laid_out_free(&file);
}

static void what_is_not_known_is_flagged(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_thread_snapshot threads[] = {thread(1), thread(2), thread(3), thread(4), thread(5)};
    threads[1].has_registers = 0;
    threads[2].has_times = 0;
    threads[3].is_caller = 1;
    threads[3].has_affinity = 0;
    threads[4].start_time_unix_ns = -1;
    static const uint32_t flags[] = {0, 0x1, 0x8, 0x2, 0};
    laid_out file = with_threads(&snapshot, threads, 5);
    uint32_t at = stream_of(&file, 5) + 12;
    for (unsigned i = 0; i < 5; i++, at += 64) {
        assert_int_equal(u32_at(&file, at), i + 1);
        assert_int_equal(u32_at(&file, at + 4), flags[i]);
        assert_int_equal(u32_at(&file, at + 8), i == 1 ? 0x80004005 : 0);
        assert_int_equal(u64_at(&file, at + 16) != 0, i != 2 && i != 4);
        assert_int_equal(u64_at(&file, at + 40) != 0, i != 2);
        assert_int_equal(u64_at(&file, at + 56) != 0, i != 3);
    }
    laid_out_free(&file);
}

static void no_tid_twice(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_thread_snapshot threads[] = {thread(50), thread(7), thread(7), thread(9), thread(50)};
    threads[3].has_registers = 0;
    static const uint32_t tids[] = {50, 7, 9};
    laid_out file = with_threads(&snapshot, threads, 5);
    uint32_t at = stream_of(&file, 3) + 12;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(u32_at(&file, at + 64 * i), tids[i]);
    laid_out_free(&file);
}

static void nothing_that_was_not_asked_for(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_thread_snapshot threads[] = {thread(1)};
    snapshot.report.effective_type = PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA;
    snapshot.threads = threads;
    snapshot.thread_count = 1;
    laid_out file = lay_out(&snapshot);
    uint32_t size;
    assert_int_equal(stream_at(&file, PI_STREAM_THREAD_INFO_LIST, &size), 0);
    laid_out_free(&file);
}

static void the_least_size_counts_them(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    snapshot.thread_count = 20000;
    uint64_t without = pi_minidump_least_bytes(&snapshot);
    snapshot.report.effective_type = PROCINSPECT_DUMP_TYPE_WITH_THREAD_INFO;
    assert_int_equal(pi_minidump_least_bytes(&snapshot) - without, 12 + 12 + 20000 * 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_at_its_place),
        cmocka_unit_test(what_is_not_known_is_flagged),
        cmocka_unit_test(no_tid_twice),
        cmocka_unit_test(nothing_that_was_not_asked_for),
        cmocka_unit_test(the_least_size_counts_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
