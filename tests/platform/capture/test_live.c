/* SPDX-License-Identifier: MIT */
/* Live captures: what is of the moment, what is of later, and what becomes of memory that goes. */
#include "platform/capture/copy_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <procinspect/dump.h>

enum { AREA_BYTES = 64 * COPY_PAGE };

static pi_capture_request live_request(void) {
    pi_capture_request request = copy_request();
    request.way = PROCINSPECT_DUMP_WAY_LIVE;
    return request;
}

static const char *live_note(const pi_snapshot *snapshot) {
    for (size_t i = 0; i < snapshot->report.note_count; i++)
        if (snapshot->report.notes[i]->kind == PROCINSPECT_DUMP_NOTE_LIVE)
            return snapshot->report.notes[i]->text;
    return NULL;
}

/* words[0]: a counter on the stack, words[1]: one on the heap, words[2]: an area of 0x5a. Does what
 * words[7] says: 1, the area goes; 2, the process ends; 3, it runs another program. */
static void changing_body(child_board *board) {
    volatile uint64_t on_stack = 0;
    volatile uint64_t *on_heap =
        mmap(NULL, COPY_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *area = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(area, 0x5a, AREA_BYTES);
    atomic_store(&board->words[0], (uint64_t)(uintptr_t)&on_stack);
    atomic_store(&board->words[1], (uint64_t)(uintptr_t)on_heap);
    atomic_store(&board->words[2], (uint64_t)(uintptr_t)area);
    for (;;) {
        on_stack++;
        ++*on_heap;
        atomic_fetch_add(&board->beats, 1);
        atomic_store(&board->ready, 1);
        switch (atomic_load(&board->words[7])) {
        case 1:
            munmap(area, AREA_BYTES);
            atomic_store(&board->words[7], 0);
            break;
        case 2:
            _exit(0);
        case 3:
            execl("/bin/sleep", "sleep", "1000", NULL);
            _exit(1);
        default:
            break;
        }
    }
}

static void test_stacks_are_of_the_moment(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(changing_body);
    pi_capture_request request = live_request();
    size_t descriptors = count_descriptors();
    pi_snapshot *snapshot = capture_process(child.process, &request);
    uint64_t on_stack = copy_word_at(snapshot, atomic_load(&child.board->words[0]));
    uint64_t on_heap = copy_word_at(snapshot, atomic_load(&child.board->words[1]));
    assert_true(on_heap >= on_stack);
    while (copy_word_at(snapshot, atomic_load(&child.board->words[1])) <= on_heap)
        sleep_ms(1);
    assert_true(copy_word_at(snapshot, atomic_load(&child.board->words[0])) == on_stack);
    assert_non_null(live_note(snapshot));
    assert_non_null(strstr(live_note(snapshot), "no consistent image"));
    assert_true(snapshot->report.shared_memory_bytes > AREA_BYTES);
    assert_true(snapshot->report.shared_memory_bytes < snapshot->report.memory_bytes);
    assert_string_equal(snapshot->report.way_reason, "It was asked for.");
    assert_int_equal(count_children(getpid()), 1); /* no helper, and no copy */
    assert_int_equal(count_children(child.pid), 0);
    pi_snapshot_free(snapshot);
    assert_int_equal(count_descriptors(), descriptors);
    assert_beats(&child);
    child_end(&child);
}

/* Of the smallest type nothing is read later. */
static void test_a_small_one_is_of_the_moment(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(changing_body);
    pi_capture_request request = live_request();
    request.type = PROCINSPECT_DUMP_TYPE_NORMAL;
    pi_snapshot *snapshot = capture_process(child.process, &request);
    assert_int_equal(snapshot->report.shared_memory_bytes, 0);
    assert_null(live_note(snapshot));
    pi_snapshot_free(snapshot);
    child_end(&child);
}

static void test_pages_that_go_are_zero(void **state) {
    unsigned char bytes[AREA_BYTES];
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(changing_body);
    pi_capture_request request = live_request();
    uint64_t area = atomic_load(&child.board->words[2]);
    pi_snapshot *snapshot = capture_process(child.process, &request);
    assert_int_equal(copy_read(snapshot, area, AREA_BYTES, bytes, NULL), 0);
    for (size_t i = 0; i < AREA_BYTES; i++)
        assert_int_equal(bytes[i], 0x5a);
    atomic_store(&child.board->words[7], 1);
    while (atomic_load(&child.board->words[7]) != 0)
        sleep_ms(1);
    assert_int_equal(copy_read(snapshot, area, AREA_BYTES, bytes, NULL), 0);
    for (size_t i = 0; i < AREA_BYTES; i++)
        assert_int_equal(bytes[i], 0);
    pi_snapshot_free(snapshot);
    assert_beats(&child);
    child_end(&child);
}

/* Its stacks are there, the rest is an error: whether it has ended or runs another program. */
static void test_a_process_that_goes_is_an_error(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    for (uint64_t how = 2; how <= 3; how++) {
        procinspect_error error;
        uint64_t word;
        test_child child = child_start(changing_body);
        pi_capture_request request = live_request();
        uint64_t on_heap = atomic_load(&child.board->words[1]);
        pi_snapshot *snapshot = capture_process(child.process, &request);
        atomic_store(&child.board->words[7], how);
        int32_t code;
        while ((code = copy_read(snapshot, on_heap, sizeof word, &word, &error)) == 0)
            sleep_ms(1);
        assert_int_equal(code, PROCINSPECT_ERROR_IO);
        assert_non_null(strstr(error.message, "before its live dump was read"));
        copy_word_at(snapshot, atomic_load(&child.board->words[0]));
        pi_snapshot_free(snapshot);
        child_end(&child);
    }
}

static void test_the_own_process(void **state) {
    static _Atomic uint64_t counter;
    pi_system *system;
    pi_process *process;
    (void)state;
    atomic_store(&counter, 7);
    assert_int_equal(pi_system_open(NULL, &system, NULL), 0);
    assert_int_equal(pi_process_open(system, getpid(), &process, NULL), 0);
    pi_capture_request request = live_request();
    pi_snapshot *snapshot = capture_process(process, &request);
    atomic_store(&counter, 8);
    assert_true(copy_word_at(snapshot, (uint64_t)(uintptr_t)&counter) == 8);
    pi_snapshot_free(snapshot);
    pi_process_close(process);
    pi_system_close(system);
}

/* The process has far more than may be held. */
static void test_size_is_no_matter(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    pi_capture_request request = live_request();
    request.hold_buffer_bytes = 1024 * 1024;
    pi_snapshot *snapshot = capture_process(child.process, &request);
    assert_true(snapshot->report.memory_bytes > COPY_LARGE_BYTES);
    pi_snapshot_free(snapshot);
    wait_for_rounds(&child, 1);
    child_end(&child);
}

static void test_few_descriptors(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(changing_body);
    pi_capture_request request = live_request();
    assert_few_descriptors_do(&child, &request);
    assert_beats(&child);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stacks_are_of_the_moment),
        cmocka_unit_test(test_a_small_one_is_of_the_moment),
        cmocka_unit_test(test_pages_that_go_are_zero),
        cmocka_unit_test(test_a_process_that_goes_is_an_error),
        cmocka_unit_test(test_the_own_process),
        cmocka_unit_test(test_size_is_no_matter),
        cmocka_unit_test(test_few_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
