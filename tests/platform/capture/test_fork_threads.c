/* Threads that check what they are given notice nothing of a fork, whichever makes the call. */
#include "platform/capture/fork_run.h"
#include "platform/capture/fork_workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

enum { FORKS = 30, SOAK_FORKS = 200 };

static int forks_in_a_row(void) {
    return getenv("PROCINSPECT_TEST_SOAK") != NULL ? SOAK_FORKS : FORKS;
}

static void every_call_body(child_board *board) {
    start_every_call(board);
    for (;;)
        pause();
}

static void no_call_answers_early_and_no_register_changes(void **state) {
    (void)state;
    test_child child = child_start(every_call_body);
    for (int i = 0; i < forks_in_a_row(); i++) {
        fork_once(child.pid);
        assert_no_errors(child.board);
    }
    wait_for_rounds(child.board, 100);
    assert_no_errors(child.board);
    child_end(&child);
}

static void sequences_body(child_board *board) {
    static const workload kinds[] = {check_sequences, check_sequences};
    start_workloads(board, kinds, 2);
    check_sequences(board);
}

/* Some of the forks are done; how many of these went through a thread in user code. */
static int fork_busy(void (*body)(child_board *board)) {
    test_child child = child_start(body);
    int done = 0, in_code = 0;
    for (int i = 0; i < forks_in_a_row(); i++) {
        fork_run *run = fork_begin(child.pid);
        fork_end(run);
        assert_int_equal(run->helper_result, 0);
        /* All may be in their sequences: then it is refused, and nothing is done. */
        if (run->result != PI_FORK_NO_THREAD) {
            assert_int_equal(run->result, PI_FORK_DONE);
            done++;
            assert_true(run->has_ended || count_living_children(child.pid) <= 0);
            in_code += run->through_code != 0;
        }
        fork_free(run);
        assert_no_errors(child.board);
    }
    wait_for_rounds(child.board, 100);
    assert_no_errors(child.board);
    child_end(&child);
    assert_true(done > 0);
    return in_code;
}

static void a_running_thread_keeps_its_vector_registers(void **state) {
    (void)state;
    if (!__builtin_cpu_supports("avx"))
        skip();
    assert_true(fork_busy(registers_body) > 0);
}

static void a_running_thread_keeps_its_tiles(void **state) {
    (void)state;
    fork_busy(tiles_body);
}

static void restartable_sequences_stay_whole(void **state) {
    (void)state;
    fork_busy(sequences_body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_call_answers_early_and_no_register_changes),
        cmocka_unit_test(a_running_thread_keeps_its_vector_registers),
        cmocka_unit_test(a_running_thread_keeps_its_tiles),
        cmocka_unit_test(restartable_sequences_stay_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
