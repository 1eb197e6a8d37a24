/* SPDX-License-Identifier: MIT */
/* Captures by copy of a process that SIGSTOP has stopped: nobody notices them. */
#include "platform/capture/copy_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <procinspect/dump.h>

enum { CAPTURES = 30 };

static void *write_memory(void *board) {
    writing_body(board);
    return NULL;
}

static void beating_and_writing_body(child_board *board) {
    pthread_t threads[2];
    if (pthread_create(&threads[0], NULL, beat, board) != 0 ||
        pthread_create(&threads[1], NULL, write_memory, board) != 0) /* says that it is ready */
        _exit(1);
    for (;;)
        pause();
}

static void stop(pid_t pid) {
    int status;
    kill(pid, SIGSTOP);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    assert_true(wait_for_thread_state(pid, pid, 'T'));
}

/* Neither that it was stopped nor that it went on is news to its parent. */
static void assert_no_news(pid_t pid) {
    siginfo_t info = {0};
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WCONTINUED | WEXITED | WNOHANG), 0);
    assert_int_equal(info.si_pid, 0);
}

static void test_it_stays_stopped(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(beating_and_writing_body);
    pi_capture_request request = copy_request();
    stop(child.pid);
    const unsigned beats = atomic_load(&child.board->beats);
    const uint64_t rounds = atomic_load(&child.board->words[1]);
    for (int i = 0; i < CAPTURES; i++) {
        pi_snapshot *snapshot = NULL;
        procinspect_error error;
        /* Not capture_process, which reads all of the memory each time. */
        if (pi_capture(child.process, &request, &snapshot, &error) != 0)
            fail_msg("%d: %s", error.code, error.message);
        assert_int_equal(snapshot->report.way, PROCINSPECT_DUMP_WAY_COPY);
        assert_int_equal(snapshot->report.thread_count, 3);
        assert_true(wait_for_thread_state(child.pid, child.pid, 'T'));
        pi_snapshot_free(snapshot);
        assert_true(wait_for_thread_state(child.pid, child.pid, 'T'));
        assert_int_equal(count_children(child.pid), 0);
        assert_no_news(child.pid);
    }
    sleep_ms(20); /* in which it would beat */
    assert_int_equal(atomic_load(&child.board->beats), beats);
    assert_true(atomic_load(&child.board->words[1]) == rounds);
    kill(child.pid, SIGCONT);
    assert_beats(&child);
    wait_for_rounds(&child, 1);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_it_stays_stopped)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
