/* SPDX-License-Identifier: MIT */
/* What madvise wants left out of cores (MADV_DONTDUMP): in a dump byte by byte, or not at all where
 * that is asked for. */
#include "platform/capture/copy_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <procinspect/dump.h>

enum {
    BYTES = 16 * COPY_PAGE,
    PLAIN = 0x11,
    PRIVATE_OUT = 0x22,
    SHARED_OUT = 0x33,
    FILE_OUT = 0x44
};

static unsigned char *map_room(void) {
    unsigned char *room =
        mmap(NULL, 16 * BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return room == MAP_FAILED ? NULL : room;
}

/* With nothing beside it. */
static void map_filled(child_board *board, int index, unsigned char *at, int flags, int file,
                       int byte) {
    if (mmap(at, BYTES, PROT_READ | PROT_WRITE, flags | MAP_FIXED, file, 0) != at)
        _exit(1);
    memset(at, byte, BYTES);
    if (byte != PLAIN && madvise(at, BYTES, MADV_DONTDUMP) != 0)
        _exit(2);
    atomic_store(&board->words[index], (uint64_t)(uintptr_t)at);
}

static void advised_body(child_board *board) {
    int file = memfd_create("unwanted", MFD_CLOEXEC);
    unsigned char *room = map_room();
    if (room == NULL || file < 0 || ftruncate(file, BYTES) != 0)
        _exit(3);
    map_filled(board, 0, room + BYTES, MAP_PRIVATE | MAP_ANONYMOUS, -1, PLAIN);
    map_filled(board, 1, room + 3 * BYTES, MAP_PRIVATE | MAP_ANONYMOUS, -1, PRIVATE_OUT);
    map_filled(board, 2, room + 5 * BYTES, MAP_SHARED | MAP_ANONYMOUS, -1, SHARED_OUT);
    map_filled(board, 3, room + 7 * BYTES, MAP_PRIVATE, file, FILE_OUT);
    beating_body(board);
}

static bool has_any_of(const pi_snapshot *snapshot, uint64_t address, uint64_t size) {
    for (size_t i = 0; i < snapshot->memory_count; i++) {
        const pi_memory_range *range = &snapshot->memory[i];
        if (range->address < address + size && address < range->address + range->size_bytes)
            return true;
    }
    return false;
}

static void assert_bytes(const pi_snapshot *snapshot, uint64_t address, int byte) {
    unsigned char bytes[BYTES];
    assert_int_equal(copy_read(snapshot, address, sizeof bytes, bytes, NULL), 0);
    for (size_t i = 0; i < sizeof bytes; i++)
        assert_int_equal(bytes[i], byte);
}

static const char *note_of(const pi_snapshot *snapshot) {
    for (size_t i = 0; i < snapshot->report.note_count; i++)
        if (strstr(snapshot->report.notes[i]->text, "MADV_DONTDUMP") != NULL) {
            assert_int_equal(snapshot->report.notes[i]->kind, PROCINSPECT_DUMP_NOTE_LEFT_OUT);
            return snapshot->report.notes[i]->text;
        }
    return NULL;
}

static void check(const test_child *child, const pi_snapshot *snapshot, bool is_left_out) {
    static const int bytes[] = {PLAIN, PRIVATE_OUT, SHARED_OUT, FILE_OUT};
    for (int i = 0; i < 4; i++) {
        uint64_t address = atomic_load(&child->board->words[i]);
        if (i == 0 || !is_left_out)
            assert_bytes(snapshot, address, bytes[i]);
        else
            assert_false(has_any_of(snapshot, address, BYTES));
    }
    const char *note = note_of(snapshot);
    assert_true((note != NULL) == is_left_out);
    /* Beside these there may be the kernel's own. */
    assert_true(note == NULL || (atoi(note) >= 3 && strtoull(strstr(note, "with ") + 5, NULL, 10) >=
                                                        UINT64_C(3) * BYTES));
}

static void by_way(uint32_t way) {
    skip_unless_children_can_be_traced();
    test_child child = child_start(advised_body);
    pi_capture_request request = default_request();
    request.type = PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY;
    request.way = way;
    assert_beats(&child); /* by then it has touched what it touches */
    for (int round = 0; round < 2; round++) {
        request.leave_out_dontdump = round != 0;
        pi_snapshot *snapshot = capture_process(child.process, &request);
        check(&child, snapshot, request.leave_out_dontdump);
        uint64_t memory_bytes = snapshot->report.memory_bytes;
        pi_snapshot_free(snapshot);
        /* And so a dry run says. */
        request.only_predict = true;
        assert_int_equal(pi_capture(child.process, &request, &snapshot, NULL), 0);
        assert_true((note_of(snapshot) != NULL) == request.leave_out_dontdump);
        assert_true(snapshot->report.memory_bytes < memory_bytes + 2 * BYTES &&
                    memory_bytes < snapshot->report.memory_bytes + 2 * BYTES);
        pi_snapshot_free(snapshot);
        request.only_predict = false;
        assert_beats(&child);
    }
    child_end(&child);
}

static void test_by_hold(void **state) {
    (void)state;
    by_way(PROCINSPECT_DUMP_WAY_HOLD);
}

static void test_by_copy(void **state) {
    (void)state;
    by_way(PROCINSPECT_DUMP_WAY_COPY);
}

/* What is left out needs no room, and no copy. */
static void large_body(child_board *board) {
    unsigned char *at =
        mmap(NULL, COPY_LARGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED || madvise(at, COPY_LARGE_BYTES, MADV_DONTDUMP) != 0)
        _exit(1);
    memset(at, 1, COPY_LARGE_BYTES);
    beating_body(board);
}

/* The room has to do for all but what is left out. */
static void test_it_does_not_count(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(large_body);
    pi_capture_request request = default_request();
    request.type = PROCINSPECT_DUMP_TYPE_WITH_PRIVATE_READ_WRITE_MEMORY;
    request.leave_out_dontdump = true;
    request.only_predict = true;
    pi_snapshot *snapshot = NULL;
    assert_int_equal(pi_capture(child.process, &request, &snapshot, NULL), 0);
    request.hold_buffer_bytes = snapshot->report.memory_bytes + COPY_LARGE_BYTES / 2;
    pi_snapshot_free(snapshot);

    request.only_predict = false;
    snapshot = capture_process(child.process, &request);
    assert_int_equal(snapshot->report.way, PROCINSPECT_DUMP_WAY_HOLD);
    assert_true(snapshot->report.memory_bytes < request.hold_buffer_bytes);
    pi_snapshot_free(snapshot);

    request.leave_out_dontdump = false;
    assert_int_equal(pi_capture(child.process, &request, &snapshot, NULL), 0);
    assert_int_equal(snapshot->report.way, PROCINSPECT_DUMP_WAY_COPY);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

/* The stack of a thread stays, whatever is advised of it. */
static void *advise_own_stack(void *argument) {
    pthread_attr_t attributes;
    void *stack;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0 ||
        pthread_attr_getstack(&attributes, &stack, &size) != 0 ||
        madvise(stack, size, MADV_DONTDUMP) != 0)
        _exit(4);
    atomic_store(&((child_board *)argument)->tids[0], (int)gettid());
    return beat(argument);
}

static void stack_body(child_board *board) {
    pthread_t thread;
    pthread_create(&thread, NULL, advise_own_stack, board);
    while (atomic_load(&board->tids[0]) == 0)
        sleep_ms(1);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void test_stacks_stay(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(stack_body);
    for (int by_copy = 0; by_copy < 2; by_copy++) {
        pi_capture_request request = by_copy ? copy_request() : default_request();
        request.type = PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY;
        request.leave_out_dontdump = true;
        request.hold_buffer_bytes = UINT64_C(4) << 30; /* sanitizers have much memory, too */
        pi_snapshot *snapshot = capture_process(child.process, &request);
        const pi_thread_snapshot *thread =
            find_thread(snapshot, atomic_load(&child.board->tids[0]));
        unsigned char byte;
        assert_true(thread->stack.size_bytes > 128);
        assert_int_equal(copy_read(snapshot, thread->registers.amd64.rsp, sizeof byte, &byte, NULL),
                         0);
        assert_non_null(note_of(snapshot));
        pi_snapshot_free(snapshot);
    }
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hold),
        cmocka_unit_test(test_by_copy),
        cmocka_unit_test(test_it_does_not_count),
        cmocka_unit_test(test_stacks_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
