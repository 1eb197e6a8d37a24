/* SPDX-License-Identifier: MIT */
/* Captures by copy: what is read later is as it was, and how a copy comes to its end. */
#include "platform/capture/copy_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <procinspect/dump.h>

static void test_it_is_of_one_moment(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    pi_capture_request request = copy_request();
    uint64_t memory = atomic_load(&child.board->words[0]);
    for (int i = 0; i < 5; i++) {
        pi_snapshot *snapshot = capture_process(child.process, &request);
        wait_for_rounds(&child, 2);
        assert_of_one_moment(snapshot, memory);
        assert_true(copy_word_at(snapshot, memory) < atomic_load(&child.board->words[1]));
        pi_snapshot_free(snapshot);
        assert_int_equal(count_children(child.pid), 0);
    }
    child_end(&child);
}

static void test_the_size_chooses_it(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    pi_capture_request request = copy_request();
    request.way = PROCINSPECT_DUMP_WAY_AUTO;
    pi_snapshot *snapshot;
    assert_int_equal(pi_capture(child.process, &request, &snapshot, NULL), 0);
    assert_sound_snapshot_by(snapshot, PROCINSPECT_DUMP_WAY_COPY);
    assert_true(snapshot->report.pause_copy_ns > 0);
    pi_snapshot_free(snapshot);
    request.hold_buffer_bytes = UINT64_C(4) << 30; /* sanitizers have much memory, too */
    snapshot = capture_process(child.process, &request);
    assert_int_equal(snapshot->report.way, PROCINSPECT_DUMP_WAY_HOLD);
    assert_true(snapshot->report.pause_copy_ns == 0);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

/* --- What a fork doesn't give --- */

static void advised_body(child_board *board) {
    static const int advice[] = {MADV_DONTFORK, MADV_WIPEONFORK};
    for (size_t i = 0; i < 3; i++) {
        int shared = i == 2 ? MAP_SHARED : MAP_PRIVATE;
        unsigned char *memory =
            mmap(NULL, 4 * COPY_PAGE, PROT_READ | PROT_WRITE, shared | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            _exit(1);
        memset(memory, 0x11 * (int)(i + 1), 4 * COPY_PAGE);
        if (i < 2 && madvise(memory, 4 * COPY_PAGE, advice[i]) != 0)
            _exit(1);
        atomic_store(&board->words[i], (uint64_t)(uintptr_t)memory);
    }
    atomic_store(&board->ready, 1);
    for (;;) {
        usleep(1000);
        if (atomic_load(&board->words[7]) == 0)
            continue;
        for (size_t i = 0; i < 3; i++)
            memset((void *)(uintptr_t)atomic_load(&board->words[i]), 0x77, 4 * COPY_PAGE);
        atomic_store(&board->words[7], 0);
    }
}

static void assert_bytes(const pi_snapshot *snapshot, uint64_t address, int byte) {
    unsigned char bytes[4 * COPY_PAGE];
    assert_int_equal(copy_read(snapshot, address, sizeof bytes, bytes, NULL), 0);
    for (size_t i = 0; i < sizeof bytes; i++)
        assert_int_equal(bytes[i], byte);
}

static const char *text_of_note(const pi_snapshot *snapshot, uint32_t kind) {
    for (size_t i = 0; i < snapshot->report.note_count; i++)
        if (snapshot->report.notes[i]->kind == kind)
            return snapshot->report.notes[i]->text;
    return NULL;
}

static void test_what_a_fork_lacks_is_held(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    for (int shared = 0; shared < 2; shared++) {
        test_child child = child_start(advised_body);
        pi_capture_request request = copy_request();
        request.shared_while_stopped = shared != 0;
        pi_snapshot *snapshot = capture_process(child.process, &request);
        atomic_store(&child.board->words[7], 1);
        while (atomic_load(&child.board->words[7]) != 0)
            sleep_ms(1);
        assert_bytes(snapshot, atomic_load(&child.board->words[0]), 0x11);
        assert_bytes(snapshot, atomic_load(&child.board->words[1]), 0x22);
        assert_bytes(snapshot, atomic_load(&child.board->words[2]), shared ? 0x33 : 0x77);
        const char *note = text_of_note(snapshot, PROCINSPECT_DUMP_NOTE_SHARED);
        assert_true((note == NULL) == (shared != 0));
        assert_true((snapshot->report.shared_memory_bytes == 0) == (shared != 0));
        pi_snapshot_free(snapshot);
        child_end(&child);
    }
}

/* The memory that nobody but this process has. */
static uint64_t private_bytes(pid_t pid) {
    char path[64], line[128];
    uint64_t kib = 0, value;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Private_%*[A-Za-z]: %" SCNu64, &value) == 1)
            kib += value;
    fclose(file);
    return kib * 1024;
}

static void still_body(child_board *board) {
    unsigned char *memory =
        mmap(NULL, COPY_LARGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        _exit(1);
    memset(memory, 0x5a, COPY_LARGE_BYTES);
    atomic_store(&board->words[0], (uint64_t)(uintptr_t)memory);
    beating_body(board);
}

static void test_to_read_it_takes_no_memory(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(still_body);
    pi_capture_request request = copy_request();
    pi_snapshot *snapshot = capture_process(child.process, &request); /* which reads all of it */
    assert_true(private_bytes(only_child_of(child.pid)) < COPY_LARGE_BYTES / 4);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

/* What the process does after the capture changes nothing. */
static void test_it_outlives_the_process(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    pi_capture_request request = copy_request();
    uint64_t memory = atomic_load(&child.board->words[0]);
    pi_snapshot *snapshot = capture_process(child.process, &request);
    siginfo_t end;
    kill(child.pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)child.pid, &end, WEXITED | WNOWAIT), 0);
    assert_of_one_moment(snapshot, memory);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

/* --- The host itself --- */

static atomic_bool must_end;

static void *count(void *argument) {
    _Atomic uint64_t *counter = argument;
    while (!atomic_load(&must_end))
        atomic_fetch_add(counter, 1);
    return NULL;
}

static void test_the_own_process(void **state) {
    static _Atomic uint64_t counters[4];
    pthread_t threads[4];
    pi_system *system;
    pi_process *process;
    (void)state;
    assert_int_equal(pi_system_open(NULL, &system, NULL), 0);
    assert_int_equal(pi_process_open(system, getpid(), &process, NULL), 0);
    atomic_store(&must_end, false);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, &counters[i]), 0);
    pi_capture_request request = copy_request();
    size_t descriptors = count_descriptors();
    for (int i = 0; i < 10; i++) {
        pi_snapshot *snapshot = capture_process(process, &request);
        uint64_t first = copy_word_at(snapshot, (uint64_t)(uintptr_t)&counters[0]);
        while (atomic_load(&counters[0]) == first)
            sleep_ms(1);
        assert_true(copy_word_at(snapshot, (uint64_t)(uintptr_t)&counters[0]) == first);
        assert_int_equal(snapshot->report.thread_count, 5);
        pi_snapshot_free(snapshot);
        assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    }
    assert_int_equal(count_descriptors(), descriptors);
    atomic_store(&must_end, true);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    pi_process_close(process);
    pi_system_close(system);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_of_one_moment),
        cmocka_unit_test(test_the_size_chooses_it),
        cmocka_unit_test(test_what_a_fork_lacks_is_held),
        cmocka_unit_test(test_to_read_it_takes_no_memory),
        cmocka_unit_test(test_it_outlives_the_process),
        cmocka_unit_test(test_the_own_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
