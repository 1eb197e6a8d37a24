/* SPDX-License-Identifier: MIT */
/* Captures of types with more memory than Normal: their limits, and many mappings. */
#include "platform/capture/child.h"
#include "platform/capture/interrupted_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <procinspect/dump.h>

/* ROOM: a program with sanitizers has much memory of its own. */
enum { PAGE = 4096, MIB = 1024 * 1024 };
#define ROOM (UINT64_C(4) << 30)

/* How it is captured, by all tests of a group. */
static uint32_t way;

static pi_capture_request request_of(uint32_t type) {
    pi_capture_request request = default_request();
    request.type = type;
    request.way = way;
    request.spool_directory = way == PROCINSPECT_DUMP_WAY_SPOOL ? "/tmp" : NULL;
    return request;
}

static pi_snapshot *capture_type(const test_child *child, uint32_t type, uint64_t buffer_bytes) {
    pi_capture_request request = request_of(type);
    request.hold_buffer_bytes = buffer_bytes;
    skip_unless_children_can_be_traced();
    pi_snapshot *snapshot = capture_process(child->process, &request);
    assert_int_equal(snapshot->report.requested_type, type);
    assert_int_equal(snapshot->report.effective_type,
                     type | PROCINSPECT_DUMP_TYPE_IGNORE_INACCESSIBLE_MEMORY);
    return snapshot;
}

static bool holds(const pi_snapshot *snapshot, uint64_t address, size_t length, void *bytes) {
    return snapshot->source->read(snapshot->source, address, bytes, length, NULL) == 0;
}

static unsigned char *map_filled(size_t bytes, int byte) {
    unsigned char *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        _exit(1);
    memset(memory, byte, bytes);
    return memory;
}

static void large_body(child_board *board) {
    atomic_store(&board->words[0], (uint64_t)(uintptr_t)map_filled(60 * MIB, 0x5a));
    beating_body(board);
}

/* The number behind "takes is ". */
static uint64_t size_named(const char *message) {
    const char *at = strstr(message, "takes is ");
    assert_non_null(at);
    return strtoull(at + strlen("takes is "), NULL, 10);
}

static void test_too_large_before_the_stop(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(large_body);
    pi_capture_request request = request_of(PROCINSPECT_DUMP_TYPE_WITH_PRIVATE_READ_WRITE_MEMORY);
    request.hold_buffer_bytes = 16 * MIB;
    procinspect_error error;
    pi_snapshot *snapshot;
    assert_int_equal(pi_capture(child.process, &request, &snapshot, &error),
                     PROCINSPECT_ERROR_TOO_LARGE);
    assert_true(size_named(error.message) >= 60 * MIB && size_named(error.message) < ROOM);
    assert_non_null(strstr(error.message, "hold_buffer_bytes allows 16777216; raise"));
    assert_non_null(strstr(error.message, "was not stopped"));
    request.only_check = true;
    assert_int_equal(pi_capture(child.process, &request, &snapshot, &error),
                     PROCINSPECT_ERROR_TOO_LARGE);
    child_end(&child);
}

/* What it takes besides the stacks just fits: with them it doesn't. */
static void test_too_large_when_it_stands(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(large_body);
    pi_capture_request request = request_of(PROCINSPECT_DUMP_TYPE_WITH_DATA_SEGS);
    request.hold_buffer_bytes = PAGE;
    procinspect_error error;
    pi_snapshot *snapshot;
    assert_int_equal(pi_capture(child.process, &request, &snapshot, &error),
                     PROCINSPECT_ERROR_TOO_LARGE);
    /* It may write to another page of its data meanwhile. */
    for (int i = 0; i < 20 && strstr(error.message, "was not stopped") != NULL; i++) {
        request.hold_buffer_bytes = size_named(error.message);
        assert_int_equal(pi_capture(child.process, &request, &snapshot, &error),
                         PROCINSPECT_ERROR_TOO_LARGE);
        assert_true(size_named(error.message) > request.hold_buffer_bytes);
    }
    assert_non_null(strstr(error.message, "It runs on."));
    assert_beats(&child);
    child_end(&child);
}

static void test_the_pause_is_limited(void **state) {
    unsigned late = 0;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(large_body);
    pi_capture_request request = request_of(PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY);
    request.hold_buffer_bytes = ROOM;
    request.max_pause_ms = 2; /* 60 MiB in that time would be 30 GB/s */
    for (int i = 0; i < 10; i++) {
        procinspect_error error;
        pi_snapshot *snapshot;
        int32_t code = pi_capture(child.process, &request, &snapshot, &error);
        if (code == 0) {
            pi_snapshot_free(snapshot);
            continue;
        }
        assert_int_equal(code, PROCINSPECT_ERROR_TIMED_OUT);
        late++;
        assert_beats(&child);
    }
    assert_true(late > 0);
    child_end(&child);
}

static void test_all_of_it_is_right(void **state) {
    (void)state;
    test_child child = child_start(large_body);
    pi_snapshot *snapshot = capture_type(&child, PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY, ROOM);
    unsigned char *bytes = malloc(60 * MIB);
    assert_non_null(bytes);
    assert_true(holds(snapshot, atomic_load(&child.board->words[0]), 60 * MIB, bytes));
    for (size_t i = 0; i < 60 * MIB; i++)
        assert_true(bytes[i] == 0x5a);
    free(bytes);
    pi_snapshot_free(snapshot);
    assert_beats(&child);
    child_end(&child);
}

/* --- Many mappings --- */

enum { MAPPINGS = 65000 };

/* Every second page may be written to, and every third exists. */
static void many_body(child_board *board) {
    unsigned char *memory = mmap(NULL, (size_t)MAPPINGS * PAGE, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        _exit(1);
    madvise(memory, (size_t)MAPPINGS * PAGE, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < MAPPINGS; i++) {
        if (i % 3 == 0)
            memset(memory + i * PAGE, (int)(i % 251), PAGE);
        if (i % 2 == 0 &&
            mprotect(memory + i * PAGE, PAGE, i % 4 == 0 ? PROT_READ : PROT_NONE) != 0)
            break; /* as many as the system lets it have */
    }
    atomic_store(&board->words[0], (uint64_t)(uintptr_t)memory);
    beating_body(board);
}

static void test_many_mappings(void **state) {
    (void)state;
    test_child child = child_start(many_body);
    uint64_t memory = atomic_load(&child.board->words[0]);
    for (unsigned full = 0; full < 2; full++) {
        pi_snapshot *snapshot =
            capture_type(&child,
                         full ? PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY
                              : PROCINSPECT_DUMP_TYPE_WITH_PRIVATE_READ_WRITE_MEMORY,
                         ROOM);
        assert_true(snapshot->memory_count > MAPPINGS / (full ? 3 : 7));
        for (uint64_t i = 0; i < MAPPINGS; i++) {
            unsigned char bytes[PAGE];
            bool is_wanted = i % 3 == 0 && (full || i % 2 != 0);
            assert_int_equal(holds(snapshot, memory + i * PAGE, PAGE, bytes), is_wanted);
            if (is_wanted)
                assert_true(bytes[0] == i % 251 && bytes[PAGE - 1] == i % 251);
        }
        assert_int_equal(snapshot->report.unreadable_memory_bytes, 0);
        pi_snapshot_free(snapshot);
    }
    assert_beats(&child);
    child_end(&child);
}

/* --- Stacks --- */

static void deep_body(child_board *board) {
    enum { DEPTH_BYTES = 3 * MIB };
    volatile unsigned char *deep = __builtin_alloca(DEPTH_BYTES);
    for (size_t i = 0; i < DEPTH_BYTES; i += 1024)
        deep[i] = (unsigned char)(i / 1024);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void test_a_deep_stack_is_whole(void **state) {
    static const uint32_t types[] = {PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY,
                                     PROCINSPECT_DUMP_TYPE_WITH_PRIVATE_READ_WRITE_MEMORY};
    (void)state;
    test_child child = child_start(deep_body);
    for (size_t i = 0; i < 2; i++) {
        pi_snapshot *snapshot = capture_type(&child, types[i], ROOM);
        assert_true(snapshot->threads[0].stack.size_bytes > 3 * MIB);
        for (size_t k = 0; k < snapshot->report.note_count; k++)
            if (snapshot->report.notes[k]->kind != PROCINSPECT_DUMP_NOTE_SHARED &&
                snapshot->report.notes[k]->kind != PROCINSPECT_DUMP_NOTE_LIVE)
                fail_msg("%s", snapshot->report.notes[k]->text);
        pi_snapshot_free(snapshot);
    }
    pi_snapshot *snapshot = capture_type(&child, PROCINSPECT_DUMP_TYPE_WITH_DATA_SEGS, ROOM);
    assert_int_equal(snapshot->threads[0].stack.size_bytes, MIB);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

/* The interrupted stack is shared memory, to be found through the frame on the alternate one
 * only. */
static void interrupted_body(child_board *board) {
    pthread_t thread;
    pthread_attr_t attributes;
    void *stack = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, MIB);
    pthread_create(&thread, &attributes, interrupted_thread, board);
    for (;;)
        pause();
}

static void test_an_interrupted_stack_is_in_every_type(void **state) {
    unsigned char bytes[INTERRUPTED_BYTES];
    (void)state;
    test_child child = child_start(interrupted_body);
    for (uint32_t type = 0; type < 4; type++) {
        pi_snapshot *snapshot = capture_type(&child, (type & 1) | (type & 2 ? 0x200 : 0), ROOM);
        assert_true(holds(snapshot, atomic_load(&child.board->words[0]), sizeof bytes, bytes));
        for (size_t i = 0; i < sizeof bytes; i++)
            assert_int_equal(bytes[i], interrupted_byte(i));
        pi_snapshot_free(snapshot);
    }
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest by_hold[] = {
        cmocka_unit_test(test_too_large_before_the_stop),
        cmocka_unit_test(test_too_large_when_it_stands),
        cmocka_unit_test(test_the_pause_is_limited),
        cmocka_unit_test(test_all_of_it_is_right),
        cmocka_unit_test(test_many_mappings),
        cmocka_unit_test(test_a_deep_stack_is_whole),
        cmocka_unit_test(test_an_interrupted_stack_is_in_every_type),
    };
    const struct CMUnitTest by_copy[] = {
        cmocka_unit_test(test_all_of_it_is_right),
        cmocka_unit_test(test_many_mappings),
        cmocka_unit_test(test_a_deep_stack_is_whole),
        cmocka_unit_test(test_an_interrupted_stack_is_in_every_type),
    };
    const struct CMUnitTest by_spool[] = {
        cmocka_unit_test(test_the_pause_is_limited),
        cmocka_unit_test(test_all_of_it_is_right),
        cmocka_unit_test(test_many_mappings),
        cmocka_unit_test(test_a_deep_stack_is_whole),
        cmocka_unit_test(test_an_interrupted_stack_is_in_every_type),
    };
    const struct CMUnitTest by_live[] = {
        cmocka_unit_test(test_all_of_it_is_right),
        cmocka_unit_test(test_many_mappings),
        cmocka_unit_test(test_a_deep_stack_is_whole),
        cmocka_unit_test(test_an_interrupted_stack_is_in_every_type),
    };
    way = PROCINSPECT_DUMP_WAY_HOLD;
    int failed = cmocka_run_group_tests(by_hold, NULL, NULL);
    way = PROCINSPECT_DUMP_WAY_COPY;
    failed += cmocka_run_group_tests(by_copy, NULL, NULL);
    way = PROCINSPECT_DUMP_WAY_SPOOL;
    failed += cmocka_run_group_tests(by_spool, NULL, NULL);
    way = PROCINSPECT_DUMP_WAY_LIVE;
    return failed + cmocka_run_group_tests(by_live, NULL, NULL);
}
