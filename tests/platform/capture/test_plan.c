/* SPDX-License-Identifier: MIT */
/* Which memory a small dump holds, from mappings and registers that no process ever had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "platform/linux/capture/plan.h"

enum { MIB = 1024 * 1024, BUDGET = 64 * MIB };

/* A plan with room for its results. */
static pi_plan make_plan(const pi_plan_mapping *mappings, size_t mapping_count,
                         pi_plan_thread *threads, size_t thread_count, uint64_t budget) {
    pi_plan plan = {.mappings = mappings,
                    .mapping_count = mapping_count,
                    .threads = threads,
                    .thread_count = thread_count,
                    .budget_bytes = budget};
    plan.ranges = calloc(2 * thread_count + 1, sizeof *plan.ranges);
    assert_non_null(plan.ranges);
    pi_plan_make(&plan);
    return plan;
}

/* What every plan promises. */
static void assert_sound(const pi_plan *plan) {
    uint64_t total = 0;
    for (size_t i = 0; i < plan->range_count; i++) {
        const pi_memory_range *range = &plan->ranges[i];
        assert_true(range->size_bytes != 0 && range->size_bytes <= PI_PLAN_MAX_RANGE_BYTES);
        if (i > 0)
            assert_true(range->address >= range[-1].address + range[-1].size_bytes);
        total += range->size_bytes;
    }
    assert_true(total == plan->total_bytes && total <= plan->budget_bytes);
    for (size_t i = 0; i < plan->thread_count; i++) {
        pi_memory_range stack = plan->threads[i].stack;
        bool inside = stack.size_bytes == 0;
        for (size_t k = 0; k < plan->range_count && !inside; k++)
            inside = stack.address >= plan->ranges[k].address &&
                     stack.address + stack.size_bytes <=
                         plan->ranges[k].address + plan->ranges[k].size_bytes;
        assert_true(inside);
    }
}

static void test_maps_text(void **state) {
    static const char text[] =
        "00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/dbus-daemon\n"
        "00452000-00453000 ---p 00000000 00:00 0 \n"
        "not a line of maps\n"
        "00653000-00652000 r--p 00051000 08:02 173521      ends before it begins\n"
        "10000000000000000-2 r--p 0 00:00 0 seventeen digits\n"
        "7ffc-7ffd rw-p\n"
        "ffffffffff600000-ffffffffff601000 r-xp 00000000 00:00 0   [vsyscall]\n"
        "8000-9000 r";
    pi_plan_mapping mappings[8];
    (void)state;
    assert_int_equal(pi_plan_parse_maps(text, sizeof text - 1, mappings, 8), 4);
    assert_true(mappings[0].start == 0x400000 && mappings[0].end == 0x452000);
    assert_true(mappings[1].start == 0x7ffc && mappings[1].end == 0x7ffd);
    assert_true(mappings[2].start == UINT64_C(0xffffffffff600000));
    assert_true(mappings[3].start == 0x8000);
    assert_int_equal(pi_plan_parse_maps(text, sizeof text - 1, mappings, 1), 1);
    assert_int_equal(pi_plan_parse_maps(text, 0, mappings, 8), 0);
    /* Cut at every byte: never more than there is, never beyond the end (the sanitizer looks). */
    for (size_t length = 0; length < sizeof text; length++) {
        char *cut = malloc(length + 1);
        memcpy(cut, text, length);
        cut = realloc(cut, length == 0 ? 1 : length);
        assert_true(pi_plan_parse_maps(cut, length, mappings, 8) <= 4);
        free(cut);
    }
}

static void test_stack_from_red_zone_to_end(void **state) {
    static const pi_plan_mapping mappings[] = {{0x1000, 0x3000}, {0x10000, 0x20000}};
    pi_plan_thread threads[] = {{.stack_pointer = 0x18000, .instruction_pointer = 0x2000}};
    (void)state;
    pi_plan plan = make_plan(mappings, 2, threads, 1, BUDGET);
    assert_sound(&plan);
    assert_int_equal(plan.range_count, 2);
    assert_true(threads[0].stack.address == 0x18000 - 128);
    assert_true(threads[0].stack.size_bytes == 0x8000 + 128);
    assert_true(threads[0].whole_stack_bytes == 0x8000 + 128);
    assert_true(plan.ranges[0].address == 0x2000 - 128 && plan.ranges[0].size_bytes == 256);
    free(plan.ranges);
}

static void test_edges_of_mappings(void **state) {
    static const pi_plan_mapping mappings[] = {{0x1000, 0x2000}, {0x5000, 0x6000}};
    pi_plan_thread threads[] = {
        {.stack_pointer = 0x5000, .instruction_pointer = 0x1000}, /* at the very start */
        {.stack_pointer = 0x6000, .instruction_pointer = 0x1ffe}, /* nothing pushed yet */
        {.stack_pointer = 0x6001, .instruction_pointer = 0x2000}, /* outside of both */
        {.stack_pointer = 0, .instruction_pointer = 0},
        {.stack_pointer = UINT64_MAX, .instruction_pointer = UINT64_MAX},
    };
    (void)state;
    pi_plan plan = make_plan(mappings, 2, threads, 5, BUDGET);
    assert_sound(&plan);
    assert_true(threads[0].stack.address == 0x5000 && threads[0].stack.size_bytes == 0x1000);
    assert_true(threads[1].stack.address == 0x6000 - 128 && threads[1].stack.size_bytes == 128);
    for (size_t i = 2; i < 5; i++)
        assert_true(threads[i].stack.size_bytes == 0 && threads[i].whole_stack_bytes == 0);
    assert_int_equal(plan.range_count, 3);
    assert_true(plan.ranges[0].address == 0x1000 && plan.ranges[0].size_bytes == 128);
    assert_true(plan.ranges[1].address == 0x1ffe - 128 && plan.ranges[1].size_bytes == 130);
    free(plan.ranges);
}

static void test_without_mappings(void **state) {
    pi_plan_thread threads[] = {{.stack_pointer = 0x5000, .instruction_pointer = 0x1000}};
    (void)state;
    pi_plan plan = make_plan(NULL, 0, threads, 1, BUDGET);
    assert_int_equal(plan.range_count, 0);
    assert_true(plan.total_bytes == 0);
    free(plan.ranges);
}

static void test_a_stack_of_more_than_a_mebibyte_is_cut(void **state) {
    static const pi_plan_mapping mappings[] = {{0x100000, 0x100000 + 8 * MIB}};
    pi_plan_thread threads[] = {{.stack_pointer = 0x100000 + 4 * MIB}};
    (void)state;
    pi_plan plan = make_plan(mappings, 1, threads, 1, BUDGET);
    assert_sound(&plan);
    assert_true(threads[0].stack.address == 0x100000 + 4 * MIB - 128);
    assert_true(threads[0].stack.size_bytes == PI_PLAN_MAX_STACK_BYTES);
    assert_true(threads[0].whole_stack_bytes == 4 * MIB + 128);
    free(plan.ranges);
}

/* Small stacks stay whole, large ones share what is left alike. */
static void test_budget_is_shared_fairly(void **state) {
    enum { COUNT = 10 };
    pi_plan_mapping mappings[COUNT];
    pi_plan_thread threads[COUNT] = {{0}};
    const uint64_t budget = MIB;
    (void)state;
    for (uint64_t i = 0; i < COUNT; i++) {
        mappings[i] = (pi_plan_mapping){(i + 1) * 16 * MIB, (i + 1) * 16 * MIB + MIB};
        threads[i].stack_pointer = mappings[i].end - (i < 5 ? 4096 : 512 * 1024);
    }
    pi_plan plan = make_plan(mappings, COUNT, threads, COUNT, budget);
    assert_sound(&plan);
    for (size_t i = 0; i < 5; i++)
        assert_true(threads[i].stack.size_bytes == 4096 + 128);
    for (size_t i = 5; i < COUNT; i++) {
        assert_true(threads[i].stack.size_bytes == threads[5].stack.size_bytes);
        assert_true(threads[i].stack.address == threads[i].stack_pointer - 128);
    }
    assert_true(plan.total_bytes > budget - COUNT * (PI_PLAN_WINDOW_BYTES + 1));
    free(plan.ranges);
}

static void test_a_budget_of_nothing(void **state) {
    static const pi_plan_mapping mappings[] = {{0x1000, 0x2000}};
    (void)state;
    for (uint64_t budget = 0; budget < 600; budget++) {
        pi_plan_thread threads[] = {{.stack_pointer = 0x1800, .instruction_pointer = 0x1100}};
        pi_plan plan = make_plan(mappings, 1, threads, 1, budget);
        assert_sound(&plan);
        assert_int_equal(plan.windows_left_out, budget < 512);
        free(plan.ranges);
    }
}

static void test_what_overlaps_is_joined(void **state) {
    static const pi_plan_mapping mappings[] = {{0x10000, 0x20000}, {0x20000, 0x30000}};
    pi_plan_thread threads[] = {
        {.stack_pointer = 0x1f000, .instruction_pointer = 0x1f800}, /* code on the stack */
        {.stack_pointer = 0x1e000, .instruction_pointer = 0x1f800}, /* two on one stack */
        {.stack_pointer = 0x20080, .instruction_pointer = 0},       /* begins where that ends */
    };
    (void)state;
    pi_plan plan = make_plan(mappings, 2, threads, 3, BUDGET);
    assert_sound(&plan);
    assert_int_equal(plan.range_count, 1);
    assert_true(plan.ranges[0].address == 0x1e000 - 128);
    assert_true(plan.ranges[0].address + plan.ranges[0].size_bytes == 0x30000);
    free(plan.ranges);
}

static void test_no_range_is_larger_than_readers_take(void **state) {
    enum { COUNT = 200 };
    static pi_plan_thread threads[COUNT];
    const pi_plan_mapping mapping = {UINT64_C(1) << 30,
                                     (UINT64_C(1) << 30) + (UINT64_C(256) << 20)};
    (void)state;
    for (uint64_t i = 0; i < COUNT; i++)
        threads[i].stack_pointer = mapping.start + i * (MIB / 2 + 100) + 128;
    pi_plan plan = make_plan(&mapping, 1, threads, COUNT, UINT64_C(1) << 32);
    assert_sound(&plan);
    assert_int_equal(plan.range_count, 2);
    assert_true(plan.ranges[1].address == plan.ranges[0].address + plan.ranges[0].size_bytes);
    free(plan.ranges);
}

static void test_windows_go_before_there_are_too_many_ranges(void **state) {
    enum { COUNT = 3000 };
    static pi_plan_thread threads[COUNT];
    static pi_plan_mapping mappings[2 * COUNT];
    (void)state;
    for (uint64_t i = 0; i < COUNT; i++) {
        mappings[i] = (pi_plan_mapping){(i + 1) << 16, ((i + 1) << 16) + 0x1000};
        mappings[COUNT + i] = (pi_plan_mapping){(i + 1) << 32, ((i + 1) << 32) + 0x1000};
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        /* In an order that is not theirs. */
        threads[i].instruction_pointer = mappings[(i * 7) % COUNT].start + 0x800;
        threads[i].stack_pointer = mappings[COUNT + (i * 11) % COUNT].start + 0x800;
    }
    pi_plan plan = make_plan(mappings, 2 * COUNT, threads, COUNT, BUDGET);
    assert_sound(&plan);
    assert_true(plan.windows_left_out);
    assert_int_equal(plan.range_count, COUNT);
    free(plan.ranges);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps_text),
        cmocka_unit_test(test_stack_from_red_zone_to_end),
        cmocka_unit_test(test_edges_of_mappings),
        cmocka_unit_test(test_without_mappings),
        cmocka_unit_test(test_a_stack_of_more_than_a_mebibyte_is_cut),
        cmocka_unit_test(test_budget_is_shared_fairly),
        cmocka_unit_test(test_a_budget_of_nothing),
        cmocka_unit_test(test_what_overlaps_is_joined),
        cmocka_unit_test(test_no_range_is_larger_than_readers_take),
        cmocka_unit_test(test_windows_go_before_there_are_too_many_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
