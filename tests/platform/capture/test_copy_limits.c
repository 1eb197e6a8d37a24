/* SPDX-License-Identifier: MIT */
/* What a capture by copy may take: of the process's time, or the copy of time and memory. It is
 * given up in time, and leaves nothing. */
#include "platform/capture/copy_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <procinspect/dump.h>

enum { THREADS = 100 };

static unsigned char *touch_memory(size_t bytes) {
    unsigned char *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        _exit(1);
    madvise(memory, bytes, MADV_NOHUGEPAGE); /* of which a fork copies fewer entries */
    memset(memory, 1, bytes);
    return memory;
}

static void many_body(child_board *board) {
    pthread_attr_t attributes;
    pthread_t thread;
    touch_memory(COPY_LARGE_BYTES);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread, &attributes, beat, board);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

/* On a busy machine the kernel may yet be at what it held. */
static void wait_until_left(pid_t pid, size_t most) {
    for (int i = 0; i < 10000 && count_children(pid) > most; i++)
        sleep_ms(1);
    assert_true(count_children(pid) <= most);
}

static void test_the_pause_is_limited(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(many_body);
    pi_capture_request request = copy_request();
    unsigned late = 0;
    for (int i = 0; i < 8; i++) {
        pi_snapshot *snapshot;
        procinspect_error error;
        request.max_pause_ms = i < 3 ? 1 : (uint32_t)i * 3;
        int32_t code = pi_capture(child.process, &request, &snapshot, &error);
        if (code == 0) {
            assert_pause_as_permitted(&snapshot->report, request.max_pause_ms);
            pi_snapshot_free(snapshot);
        } else if (code == PROCINSPECT_ERROR_TIMED_OUT) {
            late++;
        } else {
            fail_msg("%d: %s", error.code, error.message);
        }
        /* Where no thread could wait for it there is one zombie, which the next capture collects.
         */
        wait_until_left(child.pid, 1);
        assert_beats(&child);
    }
    assert_true(late > 0);
    request.max_pause_ms = 60000;
    pi_snapshot_free(capture_process(child.process, &request));
    wait_until_left(child.pid, 0);
    child_end(&child);
}

/* --- Of a copy that nobody reads --- */

/* Writes to all of its memory, words[0], once more when words[1] says so. */
static void writing_once_body(child_board *board) {
    pthread_t thread;
    unsigned char *memory = touch_memory(COPY_LARGE_BYTES);
    pthread_create(&thread, NULL, beat, board);
    atomic_store(&board->words[0], (uint64_t)(uintptr_t)memory);
    atomic_store(&board->ready, 1);
    while (atomic_load(&board->words[1]) == 0)
        sleep_ms(1);
    memset(memory, 2, COPY_LARGE_BYTES);
    for (;;)
        pause();
}

/* Not capture_process, which reads all of the memory. */
static pi_snapshot *copy_unread(const test_child *child, const pi_capture_request *request) {
    pi_snapshot *snapshot = NULL;
    procinspect_error error;
    if (pi_capture(child->process, request, &snapshot, &error) != 0)
        fail_msg("%d: %s", error.code, error.message);
    return snapshot;
}

/* Nor is it left as a zombie; who reads after all is told. */
static void assert_ended_by(const char *limit, const test_child *child,
                            const pi_snapshot *snapshot) {
    uint64_t word;
    procinspect_error error;
    wait_until_left(child->pid, 0);
    assert_int_equal(
        copy_read(snapshot, atomic_load(&child->board->words[0]), sizeof word, &word, &error),
        PROCINSPECT_ERROR_IO);
    assert_non_null(strstr(error.message, limit));
    assert_beats(child);
}

static void test_an_old_copy_ends(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_once_body);
    pi_capture_request request = copy_request();
    request.max_copy_seconds = 1;
    pi_snapshot *snapshot = copy_unread(&child, &request);
    assert_ended_by("max_copy_seconds", &child, snapshot);
    pi_snapshot_free(snapshot);
    assert_beats(&child);
    child_end(&child);
}

static void test_a_copy_that_grows_ends(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_once_body);
    pi_capture_request request = copy_request();
    request.max_copy_growth_bytes = COPY_LARGE_BYTES / 2;
    pi_snapshot *snapshot = copy_unread(&child, &request);
    assert_int_equal(count_children(child.pid), 1);
    atomic_store(&child.board->words[1], 1);
    assert_ended_by("max_copy_growth_bytes", &child, snapshot);
    pi_snapshot_free(snapshot);
    assert_beats(&child);
    child_end(&child);
}

/* --- Of a target whose threads can't be stopped --- */

/* In vfork a parent sleeps uninterruptibly until its child has ended. */
static void *wait_in_vfork(void *argument) {
    child_board *board = argument;
    atomic_store(&board->tids[0], (int)gettid());
    pid_t pid = vfork();
    if (pid == 0) {
        atomic_store(&board->pids[0], (int)getpid());
        atomic_store(&board->ready, 1);
        for (;;)
            syscall(SYS_pause);
    }
    waitpid(pid, NULL, 0);
    atomic_store(&board->ready, 2);
    for (;;)
        pause();
    return NULL;
}

static void vfork_body(child_board *board) {
    pthread_t thread;
    touch_memory(COPY_LARGE_BYTES);
    pthread_create(&thread, NULL, beat, board);
    pthread_create(&thread, NULL, wait_in_vfork, board); /* which says that all is ready */
    for (;;)
        pause();
}

/* It is given up on when nothing has moved for 100 ms; another one forks. */
static void test_a_thread_that_cannot_be_stopped(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(vfork_body);
    int tid = atomic_load(&child.board->tids[0]);
    assert_true(wait_for_thread_state(child.pid, tid, 'D'));
    pi_capture_request request = copy_request();
    request.max_pause_ms = 3600 * 1000;
    pi_snapshot *snapshot = capture_process(child.process, &request);
    assert_true(snapshot->report.pause_stop_ns >= 100000000);
    assert_int_equal(snapshot->report.way, PROCINSPECT_DUMP_WAY_COPY);
    assert_int_equal(snapshot->report.thread_count, 2);
    assert_int_equal(find_thread(snapshot, tid)->has_registers, 0);
    size_t notes = 0;
    for (size_t i = 0; i < snapshot->report.note_count; i++) {
        const procinspect_dump_note *note = snapshot->report.notes[i];
        notes += note->kind == PROCINSPECT_DUMP_NOTE_THREAD_NOT_STOPPED && note->tid == tid;
    }
    assert_int_equal(notes, 1);
    assert_true(snapshot->report.memory_bytes > COPY_LARGE_BYTES);
    pi_snapshot_free(snapshot);
    assert_beats(&child);
    assert_int_equal(thread_state(child.pid, tid), 'D');
    kill(atomic_load(&child.board->pids[0]), SIGKILL);
    for (int i = 0; i < 5000 && atomic_load(&child.board->ready) != 2; i++)
        sleep_ms(1);
    assert_int_equal(atomic_load(&child.board->ready), 2);
    child_end(&child);
}

static void all_in_vfork_body(child_board *board) {
    wait_in_vfork(board);
}

static void test_no_thread_can_be_stopped(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(all_in_vfork_body);
    assert_true(wait_for_thread_state(child.pid, child.pid, 'D'));
    pi_capture_request request = copy_request();
    assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_TIMED_OUT,
                         "Try again when that is over.");
    assert_int_equal(count_children(child.pid), 1); /* its own */
    kill(atomic_load(&child.board->pids[0]), SIGKILL);
    child_end(&child);
}

static void slow_to_fork_body(child_board *board) {
    touch_memory(4 * (size_t)COPY_LARGE_BYTES);
    atomic_store(&board->ready, 1);
    for (;; usleep(100))
        atomic_fetch_add(&board->beats, 1);
}

/* Its one thread has to be let go of before it can reap the copy that came too late: at once, not
 * when the helper ends. */
static void test_a_fork_that_takes_longer_than_the_pause(void **state) {
    enum { ROUNDS = 40, STEPS = 10 };
    unsigned late = 0;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(slow_to_fork_body);
    pi_capture_request request = copy_request();
    for (unsigned round = 0; round < ROUNDS; round++) {
        pi_snapshot *snapshot = NULL;
        procinspect_error error;
        request.max_pause_ms = round % STEPS + 1;
        int32_t code = pi_capture(child.process, &request, &snapshot, &error);
        if (code != 0 && code != PROCINSPECT_ERROR_TIMED_OUT)
            fail_msg("%d, %s", code, error.message);
        late += code != 0;
        pi_snapshot_free(snapshot);
        assert_int_equal(count_children(child.pid), 0);
    }
    assert_true(late > 0);
    assert_beats(&child);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_pause_is_limited),
        cmocka_unit_test(test_an_old_copy_ends),
        cmocka_unit_test(test_a_copy_that_grows_ends),
        cmocka_unit_test(test_a_thread_that_cannot_be_stopped),
        cmocka_unit_test(test_no_thread_can_be_stopped),
        cmocka_unit_test(test_a_fork_that_takes_longer_than_the_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
