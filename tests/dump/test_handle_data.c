/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dump/minidump/minidump.h"

static pi_bytes text_of(const char *text) {
    return (pi_bytes){text, strlen(text)};
}

static pi_handle_snapshot handle(uint64_t number, uint32_t access, const char *type,
                                 const char *name) {
    return (pi_handle_snapshot){
        .number = number, .access = access, .type = text_of(type), .name = text_of(name)};
}

static laid_out with_handles(pi_snapshot *snapshot, pi_handle_snapshot *handles, size_t count) {
    snapshot->report.effective_type |= PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA;
    snapshot->handles = handles;
    snapshot->handle_count = count;
    return lay_out(snapshot);
}

static void every_member_at_its_place(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_handle_snapshot handles[] = {
        handle(0, PI_ACCESS_READ, "file", "/dev/null"),
        handle(1, PI_ACCESS_WRITE, "pipe", "pipe:[123]"),
        handle(7, PI_ACCESS_READ | PI_ACCESS_WRITE, "file", "/tmp/x (deleted)"),
        handle(UINT64_C(0x100000002), PI_ACCESS_READ | PI_ACCESS_APPEND, "file", ""),
        handle(9, 0, "socket", "socket:[4]"),
    };
    handles[2].is_inherited = 1;
    static const uint32_t accesses[] = {0x1, 0x2, 0x3, 0x5, 0};
    laid_out file = with_handles(&snapshot, handles, 5);
    uint64_t at = first_entry_at(&file, PI_STREAM_HANDLE_DATA, 32, 5);
    for (unsigned i = 0; i < 5; i++, at += 32) {
        assert_int_equal(u64_at(&file, at), handles[i].number);
        assert_string(&file, u32_at(&file, at + 8), handles[i].type.data);
        if (handles[i].name.length == 0)
            assert_int_equal(u32_at(&file, at + 12), 0);
        else
            assert_string(&file, u32_at(&file, at + 12), handles[i].name.data);
        assert_int_equal(u32_at(&file, at + 16), i == 2 ? 2 : 0);
        assert_int_equal(u32_at(&file, at + 20), accesses[i]);
        assert_int_equal(u64_at(&file, at + 24), 0);
    }
    laid_out_free(&file);
}

static void one_that_has_nothing_open(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    laid_out file = with_handles(&snapshot, NULL, 0);
    first_entry_at(&file, PI_STREAM_HANDLE_DATA, 32, 0);
    laid_out_free(&file);
}

static void nothing_that_was_not_asked_for(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_handle_snapshot handles[] = {handle(0, PI_ACCESS_READ, "file", "/dev/null")};
    snapshot.report.effective_type = PROCINSPECT_DUMP_TYPE_WITH_THREAD_INFO;
    snapshot.handles = handles;
    snapshot.handle_count = 1;
    laid_out file = lay_out(&snapshot);
    uint32_t size;
    assert_int_equal(stream_at(&file, PI_STREAM_HANDLE_DATA, &size), 0);
    laid_out_free(&file);
}

/* A type stands in the file once, unless there are more than anybody has seen. */
static void a_type_is_written_once(void **state) {
    (void)state;
    enum { COUNT = 40000 };
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_handle_snapshot *handles = calloc(COUNT, sizeof *handles);
    for (size_t i = 0; i < COUNT; i++)
        handles[i] = handle(i, PI_ACCESS_READ, i % 2 == 0 ? "socket" : "file", "");
    laid_out file = with_handles(&snapshot, handles, COUNT);
    uint64_t at = first_entry_at(&file, PI_STREAM_HANDLE_DATA, 32, COUNT);
    for (uint32_t i = 2; i < COUNT; i++)
        assert_int_equal(u32_at(&file, at + 32 * i + 8), u32_at(&file, at + 32 * (i % 2) + 8));
    assert_string(&file, u32_at(&file, at + 8), "socket");
    assert_string(&file, u32_at(&file, at + 32 + 8), "file");
    laid_out_free(&file);
    free(handles);
}

static void more_types_than_are_remembered(void **state) {
    (void)state;
    enum { COUNT = 40 };
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    pi_handle_snapshot handles[COUNT];
    char types[COUNT][8];
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(types[i], sizeof types[i], "type%zu", i / 2);
        handles[i] = handle(i, 0, types[i], "x");
    }
    laid_out file = with_handles(&snapshot, handles, COUNT);
    uint64_t at = first_entry_at(&file, PI_STREAM_HANDLE_DATA, 32, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_string(&file, u32_at(&file, at + 32 * i + 8), types[i]);
    laid_out_free(&file);
}

/* Not below what the file takes without threads, texts and report, and not above. */
static void the_least_size_counts_them(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot = bare_snapshot(&memory);
    uint64_t without = pi_minidump_least_bytes(&snapshot);
    laid_out file = lay_out(&snapshot);
    uint64_t size_without = file.length;
    laid_out_free(&file);
    pi_handle_snapshot handles[] = {
        handle(0, PI_ACCESS_READ, "file", "/dev/null"),
        handle(1, PI_ACCESS_READ, "file", "/tmp/\xf0\x9f\x98\x80\xff"),
    };
    file = with_handles(&snapshot, handles, 2);
    uint64_t more = pi_minidump_least_bytes(&snapshot) - without;
    assert_true(more <= file.length - size_without);
    /* but for alignment and the one type */
    assert_true(more + 3 * 8 + (4 + 10) >= file.length - size_without);
    laid_out_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_at_its_place),
        cmocka_unit_test(one_that_has_nothing_open),
        cmocka_unit_test(nothing_that_was_not_asked_for),
        cmocka_unit_test(a_type_is_written_once),
        cmocka_unit_test(more_types_than_are_remembered),
        cmocka_unit_test(the_least_size_counts_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
