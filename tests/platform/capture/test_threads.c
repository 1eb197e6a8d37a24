/* Captures of processes whose threads come, go, wait, trace and are stopped meanwhile. */
#include "platform/capture/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/linux/capture/parts.h"

enum { SPAWNERS = 4, MANY_THREADS = 1000, SMALL_STACK = 64 * 1024 };

static const char exec_loop[] = "--exec-loop";

static unsigned rounds(unsigned normal) {
    return getenv("PROCINSPECT_TEST_SOAK") != NULL ? normal * 25 : normal;
}

static void start_thread(void *(*run)(void *), void *argument) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, SMALL_STACK);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, run, argument) != 0)
        _exit(98);
    pthread_attr_destroy(&attributes);
}

static void *wait_forever(void *argument) {
    for (;;)
        pause();
    return argument;
}

static void many_threads_body(child_board *board) {
    for (int i = 2; i < MANY_THREADS; i++)
        start_thread(wait_forever, NULL);
    start_thread(beat, board);
    atomic_store(&board->ready, 1);
    wait_forever(NULL);
}

static void test_a_thousand_threads(void **state) {
    (void)state;
    test_child child = child_start(many_threads_body);
    for (unsigned i = 0; i < rounds(3); i++) {
        pi_snapshot *snapshot = capture_child(&child);
        assert_int_equal(snapshot->report.thread_count, MANY_THREADS);
        assert_int_equal(snapshot->report.note_count, 0);
        assert_true(snapshot->memory_count <= 4096);
        pi_snapshot_free(snapshot);
        assert_beats(&child);
    }
    child_end(&child);
}

static void *end_at_once(void *argument) {
    child_board *board = argument;
    atomic_fetch_add(&board->beats, 1);
    return NULL;
}

/* Threads that end all the time. */
static void *spawn_forever(void *argument) {
    for (;;) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, end_at_once, argument) == 0)
            pthread_join(thread, NULL);
    }
    return NULL;
}

static void spawning_body(child_board *board) {
    for (int i = 0; i < SPAWNERS; i++)
        start_thread(spawn_forever, board);
    atomic_store(&board->ready, 1);
    wait_forever(NULL);
}

static void test_threads_that_come_and_go(void **state) {
    (void)state;
    test_child child = child_start(spawning_body);
    for (unsigned i = 0; i < rounds(100); i++) {
        pi_snapshot *snapshot = capture_child(&child);
        assert_true(snapshot->report.thread_count >= SPAWNERS + 1);
        assert_true(snapshot->report.thread_count <= 2 * SPAWNERS + 1);
        assert_int_equal(snapshot->thread_count, snapshot->report.thread_count);
        pi_snapshot_free(snapshot);
        if (i % 10 == 0)
            assert_beats(&child);
    }
    child_end(&child);
}

/* A thread starts the next one and ends: whoever looks for it is always late. */
static void *start_the_next(void *argument) {
    child_board *board = argument;
    atomic_fetch_add(&board->beats, 1);
    start_thread(start_the_next, board);
    return NULL;
}

static void chain_body(child_board *board) {
    start_thread(start_the_next, board);
    atomic_store(&board->ready, 1);
    wait_forever(NULL);
}

static void test_a_thread_that_is_always_another(void **state) {
    (void)state;
    test_child child = child_start(chain_body);
    for (unsigned i = 0; i < rounds(100); i++) {
        pi_snapshot *snapshot = capture_child(&child);
        assert_true(snapshot->report.thread_count >= 2);
        pi_snapshot_free(snapshot);
        if (i % 10 == 0)
            assert_beats(&child);
    }
    child_end(&child);
}

static void ended_main_body(child_board *board) {
    atomic_store(&board->tids[0], (int)gettid());
    start_thread(beat, board);
    atomic_store(&board->ready, 1);
    syscall(SYS_exit, 0);
}

static void test_a_main_thread_that_has_ended(void **state) {
    (void)state;
    test_child child = child_start(ended_main_body);
    assert_true(wait_for_thread_state(child.pid, child.pid, 'Z'));
    pi_snapshot *snapshot = capture_child(&child);
    assert_int_equal(snapshot->thread_count, 1);
    assert_int_not_equal(snapshot->threads[0].tid, child.pid);
    assert_int_equal(snapshot->report.note_count, 1);
    assert_int_equal(snapshot->report.notes[0]->kind, PROCINSPECT_DUMP_NOTE_LEFT_OUT);
    assert_int_equal(snapshot->report.notes[0]->tid, child.pid);
    pi_snapshot_free(snapshot);
    assert_beats(&child);
    child_end(&child);
}

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
    atomic_store(&board->words[0], (uint64_t)pid);
    waitpid(pid, NULL, 0);
    atomic_store(&board->ready, 2);
    return wait_forever(NULL);
}

static void vfork_body(child_board *board) {
    start_thread(beat, board);
    start_thread(wait_in_vfork, board);
    wait_forever(NULL);
}

/* It is given up on when nothing has moved for 100 ms, not when the permitted pause is over: that
 * would be long after this test's time. */
static void test_a_thread_that_cannot_be_stopped(void **state) {
    (void)state;
    test_child child = child_start(vfork_body);
    int tid = atomic_load(&child.board->tids[0]);
    int grandchild = atomic_load(&child.board->pids[0]);
    assert_true(wait_for_thread_state(child.pid, tid, 'D'));
    pi_capture_request request = default_request();
    request.max_pause_ms = 3600 * 1000;
    for (int i = 0; i < 3; i++) {
        pi_snapshot *snapshot;
        skip_unless_children_can_be_traced();
        assert_int_equal(pi_capture(child.process, &request, &snapshot, NULL), 0);
        assert_sound_snapshot(snapshot);
        assert_true(snapshot->report.pause_stop_ns >= 100000000);
        assert_int_equal(snapshot->thread_count, 3);
        assert_int_equal(snapshot->report.thread_count, 2);
        assert_int_equal(find_thread(snapshot, tid)->has_registers, 0);
        assert_int_equal(snapshot->report.note_count, 1);
        assert_int_equal(snapshot->report.notes[0]->kind, PROCINSPECT_DUMP_NOTE_THREAD_NOT_STOPPED);
        assert_int_equal(snapshot->report.notes[0]->tid, tid);
        pi_snapshot_free(snapshot);
        assert_beats(&child);
        assert_int_equal(thread_state(child.pid, tid), 'D');
    }
    /* Its vfork ends as it would have. */
    kill(grandchild, SIGKILL);
    for (int i = 0; i < 5000 && atomic_load(&child.board->ready) != 2; i++)
        sleep_ms(1);
    assert_int_equal(atomic_load(&child.board->ready), 2);
    assert_true(atomic_load(&child.board->words[0]) == (uint64_t)grandchild);
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
    pi_capture_request request = default_request();
    assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_TIMED_OUT,
                         "1 of the 1 threads of process");
    assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_TIMED_OUT,
                         "Try again when that is over.");
    kill(atomic_load(&child.board->pids[0]), SIGKILL);
    child_end(&child);
}

static void test_a_stopped_process_stays_stopped(void **state) {
    siginfo_t info = {0};
    int status;
    (void)state;
    test_child child = child_start(beating_body);
    kill(child.pid, SIGSTOP);
    assert_int_equal(waitpid(child.pid, &status, WUNTRACED), child.pid);
    for (int i = 0; i < 20; i++) {
        pi_snapshot *snapshot = capture_child(&child);
        assert_int_equal(snapshot->report.thread_count, 2);
        assert_int_equal(snapshot->report.restarted_call_count, 0);
        pi_snapshot_free(snapshot);
        assert_true(wait_for_thread_state(child.pid, child.pid, 'T'));
    }
    unsigned beats = atomic_load(&child.board->beats);
    sleep_ms(20);
    assert_int_equal(atomic_load(&child.board->beats), beats);
    assert_int_equal(
        waitid(P_PID, (id_t)child.pid, &info, WSTOPPED | WCONTINUED | WEXITED | WNOHANG), 0);
    assert_int_equal(info.si_pid, 0);
    kill(child.pid, SIGCONT);
    assert_beats(&child);
    child_end(&child);
}

/* A child that replaces its program again and again, from a thread that isn't the main one. */
static void *exec_self(void *argument) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* of this thread; the new program keeps it */
    char board[32];
    snprintf(board, sizeof board, "%d", *(int *)argument);
    execl("/proc/self/exe", "test", exec_loop, board, NULL);
    _exit(97);
}

static _Noreturn void run_exec_loop(int board_file) {
    child_board *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, board_file, 0);
    if (board == MAP_FAILED)
        _exit(96);
    atomic_fetch_add(&board->beats, 1);
    start_thread(exec_self, &board_file);
    wait_forever(NULL);
    _exit(0);
}

static int exec_board_file;

static void exec_body(child_board *board) {
    atomic_store(&board->ready, 1);
    exec_self(&exec_board_file);
}

static void test_a_program_that_replaces_itself(void **state) {
    unsigned captured = 0;
    (void)state;
    skip_unless_children_can_be_traced();
    if (yama_restricts() != 0)
        skip(); /* whom the first thread has named goes with it when another one executes a program
                 */
    exec_board_file = memfd_create("board", 0);
    assert_int_equal(ftruncate(exec_board_file, sizeof(child_board)), 0);
    child_board *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, exec_board_file, 0);
    assert_true(board != MAP_FAILED);
    test_child child = child_start(exec_body);
    pi_capture_request request = default_request();
    for (unsigned i = 0; i < rounds(60); i++) {
        pi_snapshot *snapshot;
        procinspect_error error;
        unsigned before = atomic_load(&board->beats);
        /* It seems dead in the moment in which another thread becomes its main one. */
        for (int k = 0; k < 2000; k++)
            assert_int_equal(pi_capture_check_zombie(child.process, NULL), 0);
        int32_t code = pi_capture(child.process, &request, &snapshot, &error);
        if (code == 0) {
            assert_sound_snapshot(snapshot);
            pi_snapshot_free(snapshot);
            captured++;
        } else if (code != PROCINSPECT_ERROR_IO || strstr(error.message, "execve") == NULL) {
            fail_msg("%d: %s", error.code, error.message);
        }
        for (int k = 0; k < 20000 && atomic_load(&board->beats) < before + 2; k++)
            sleep_ms(1);
        assert_true(atomic_load(&board->beats) >= before + 2);
    }
    print_message("captured %u of %u\n", captured, rounds(60));
    child_end(&child);
    munmap(board, sizeof *board);
    close(exec_board_file);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], exec_loop) == 0)
        run_exec_loop(atoi(argv[2]));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thousand_threads),
        cmocka_unit_test(test_threads_that_come_and_go),
        cmocka_unit_test(test_a_thread_that_is_always_another),
        cmocka_unit_test(test_a_main_thread_that_has_ended),
        cmocka_unit_test(test_a_thread_that_cannot_be_stopped),
        cmocka_unit_test(test_no_thread_can_be_stopped),
        cmocka_unit_test(test_a_stopped_process_stays_stopped),
        cmocka_unit_test(test_a_program_that_replaces_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
