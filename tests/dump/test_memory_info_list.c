/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dump/minidump/minidump.h"

enum { R = PI_ACCESS_READ, W = PI_ACCESS_WRITE, X = PI_ACCESS_EXECUTE };

static laid_out with_regions(pi_snapshot *snapshot, pi_region_snapshot *regions, size_t count) {
    snapshot->report.effective_type |= PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY_INFO;
    snapshot->regions = regions;
    snapshot->region_count = count;
    return lay_out(snapshot);
}

static void every_member_at_its_place(void **state) {
    (void)state;
    static const struct {
        uint32_t access, protection;
        pi_region_kind kind;
        uint32_t type;
    } cases[] = {
        {0, 0x01, PI_REGION_PRIVATE, 0x20000},        {R, 0x02, PI_REGION_IMAGE, 0x1000000},
        {R | W, 0x04, PI_REGION_MAPPED, 0x40000},     {W, 0x04, PI_REGION_PRIVATE, 0x20000},
        {X, 0x10, PI_REGION_PRIVATE, 0x20000},        {R | X, 0x20, PI_REGION_IMAGE, 0x1000000},
        {R | W | X, 0x40, PI_REGION_MAPPED, 0x40000}, {W | X, 0x40, PI_REGION_PRIVATE, 0x20000},
    };
    enum { COUNT = sizeof cases / sizeof cases[0] };
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_region_snapshot regions[COUNT];
    for (uint64_t i = 0; i < COUNT; i++)
        regions[i] = (pi_region_snapshot){
            .range = {UINT64_C(0xffffffff00000000) + 0x10000 * i, UINT64_C(0x200001000) + i},
            .allocation_address = UINT64_C(0xffffffff00000000) + i,
            .access = cases[i].access,
            .kind = cases[i].kind};
    laid_out file = with_regions(&snapshot, regions, COUNT);
    uint64_t at = first_entry_at(&file, PI_STREAM_MEMORY_INFO_LIST, 48, COUNT);
    for (unsigned i = 0; i < COUNT; i++, at += 48) {
        assert_int_equal(u64_at(&file, at), regions[i].range.address);
        assert_int_equal(u64_at(&file, at + 8), regions[i].allocation_address);
        assert_int_equal(u32_at(&file, at + 16), cases[i].protection);
        assert_int_equal(u32_at(&file, at + 20), 0);
        assert_int_equal(u64_at(&file, at + 24), regions[i].range.size_bytes);
        assert_int_equal(u32_at(&file, at + 32), 0x1000);
        assert_int_equal(u32_at(&file, at + 36), cases[i].protection);
        assert_int_equal(u32_at(&file, at + 40), cases[i].type);
        assert_int_equal(u32_at(&file, at + 44), 0);
    }
    laid_out_free(&file);
}

static void as_many_as_a_process_can_have(void **state) {
    (void)state;
    enum { COUNT = 65530 };
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_region_snapshot *regions = calloc(COUNT, sizeof *regions);
    for (uint64_t i = 0; i < COUNT; i++)
        regions[i] = (pi_region_snapshot){.range = {0x10000 + 0x2000 * i, 0x1000}, .access = R};
    laid_out file = with_regions(&snapshot, regions, COUNT);
    uint64_t at = first_entry_at(&file, PI_STREAM_MEMORY_INFO_LIST, 48, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(u64_at(&file, at + 48 * i), regions[i].range.address);
    laid_out_free(&file);
    free(regions);
}

static void none_at_all(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    laid_out file = with_regions(&snapshot, NULL, 0);
    first_entry_at(&file, PI_STREAM_MEMORY_INFO_LIST, 48, 0);
    laid_out_free(&file);
}

static void nothing_that_was_not_asked_for(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_region_snapshot regions[] = {{.range = {0x1000, 0x1000}}};
    snapshot.report.effective_type = PROCINSPECT_DUMP_TYPE_WITH_THREAD_INFO;
    snapshot.regions = regions;
    snapshot.region_count = 1;
    laid_out file = lay_out(&snapshot);
    uint32_t size;
    assert_int_equal(stream_at(&file, PI_STREAM_MEMORY_INFO_LIST, &size), 0);
    laid_out_free(&file);
}

static void the_least_size_counts_what_is_known(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    uint64_t without = pi_minidump_least_bytes(&snapshot);
    snapshot.report.effective_type = PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY_INFO;
    assert_int_equal(pi_minidump_least_bytes(&snapshot) - without, 12 + 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_at_its_place),
        cmocka_unit_test(as_many_as_a_process_can_have),
        cmocka_unit_test(none_at_all),
        cmocka_unit_test(nothing_that_was_not_asked_for),
        cmocka_unit_test(the_least_size_counts_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
