/* Copies of a process made by one injected clone: they are frozen, and the process notices nothing.
 */
#include "platform/capture/child.h"
#include "platform/capture/fork_run.h"
#include "platform/capture/fork_workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 30, SOAK_FORKS = 200, STACK_COMPARED = 32768 };

static int forks_in_a_row(void) {
    return getenv("PROCINSPECT_TEST_SOAK") != NULL ? SOAK_FORKS : FORKS;
}

static void end_well(fork_run *run) {
    fork_end(run);
    assert_int_equal(run->helper_result, 0);
    assert_true(run->has_ended);
    fork_free(run);
}

static fork_run *begin_well(pid_t pid) {
    fork_run *run = fork_begin(pid);
    assert_int_equal(run->stopped, PI_STOP_OK);
    assert_int_equal(run->result, PI_FORK_DONE);
    assert_true(run->has_settled);
    assert_true(run->fork->copy_stands);
    return run;
}

/* --- The copy --- */

static volatile uint64_t counter;

static void *count(void *argument) {
    child_board *board = argument;
    for (;;) {
        counter++;
        atomic_store(&board->words[0], counter);
        if (counter % 1024 == 0)
            sched_yield();
    }
    return NULL;
}

static void counting_body(child_board *board) {
    pthread_t thread;
    pthread_create(&thread, NULL, count, board);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static uint64_t counter_of(pid_t pid) {
    uint64_t value;
    read_memory_of(pid, (const void *)(uintptr_t)&counter, &value, sizeof value);
    return value;
}

static void the_copy_is_frozen_while_the_target_writes(void **state) {
    (void)state;
    test_child child = child_start(counting_body);
    fork_run *run = begin_well(child.pid);
    uint64_t frozen = counter_of(run->fork->copy_pid);
    uint64_t shared = atomic_load(&child.board->words[0]);
    while (atomic_load(&child.board->words[0]) == shared)
        sleep_ms(1);
    assert_int_equal(counter_of(run->fork->copy_pid), frozen);
    assert_true(counter_of(child.pid) > frozen);
    assert_true(count_children(child.pid) == 1 || count_children(child.pid) == -1);
    end_well(run);
    assert_true(count_children(child.pid) <= 0);
    child_end(&child);
}

static size_t entries_in(pid_t pid, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return count_lines_of(path);
}

static void the_copy_has_no_part_in_the_targets_doings(void **state) {
    (void)state;
    test_child child = child_start(beating_body);
    fork_run *run = begin_well(child.pid);
    assert_true(run->fork->has_oom_mark);
    assert_true(run->fork->has_own_descriptors);
    assert_true(run->fork->has_own_group);
    assert_int_equal(getpgid(run->fork->copy_pid), run->fork->copy_pid);
    assert_int_not_equal(getpgid(child.pid), run->fork->copy_pid);
    /* One of its own would take part in how the kernel shares out processors. */
    assert_int_equal(getsid(run->fork->copy_pid), getsid(child.pid));
    assert_true(entries_in(run->fork->copy_pid, "maps") > 0);
    assert_int_equal(run->fork->copy_pid_in_target, run->fork->copy_pid);
    assert_beats(&child);
    end_well(run);
    child_end(&child);
}

/* --- What is left in memory: nothing --- */

static void resting_body(child_board *board) {
    unsigned char pattern[STACK_COMPARED];
    memset(pattern, 0xa5, sizeof pattern);
    __asm__ volatile("" : : "r"(pattern) : "memory");
    atomic_store(&board->words[0], (uintptr_t)pattern);
    atomic_store(&board->words[1], (uintptr_t)__builtin_frame_address(0));
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void neither_stack_shows_the_frame(void **state) {
    (void)state;
    static unsigned char before[STACK_COMPARED], after[STACK_COMPARED];
    test_child child = child_start(resting_body);
    assert_true(wait_for_thread_state(child.pid, child.pid, 'S'));
    /* From below what the main thread uses: the call of pause is right below the pattern. */
    const unsigned char *low =
        (const unsigned char *)(uintptr_t)atomic_load(&child.board->words[0]) - STACK_COMPARED / 2;
    read_memory_of(child.pid, low, before, sizeof before);
    fork_run *run = begin_well(child.pid);
    read_memory_of(child.pid, low, after, sizeof after);
    assert_memory_equal(before, after, sizeof before);
    read_memory_of(run->fork->copy_pid, low, after, sizeof after);
    assert_memory_equal(before, after, sizeof before);
    end_well(run);
    read_memory_of(child.pid, low, after, sizeof after);
    assert_memory_equal(before, after, sizeof before);
    child_end(&child);
}

/* --- Children and signals --- */

static void waiting_body(child_board *board) {
    static const workload kinds[] = {check_pause};
    start_workloads(board, kinds, 1);
    for (;;) {
        /* There is no child that it could see. */
        if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
            atomic_fetch_add(&board->words[WORD_ERRORS], 1);
        atomic_fetch_add(&board->words[WORD_ROUNDS], 1);
        sched_yield();
    }
}

static void a_target_that_waits_finds_no_child(void **state) {
    (void)state;
    test_child child = child_start(waiting_body);
    for (int i = 0; i < forks_in_a_row(); i++) {
        fork_run *run = begin_well(child.pid);
        wait_for_rounds(child.board, 10);
        end_well(run);
        wait_for_rounds(child.board, 10);
    }
    assert_no_errors(child.board);
    assert_int_equal(atomic_load(&child.board->words[WORD_SIGNALS]), 0);
    child_end(&child);
}

static void read_signals(pid_t pid, char text[4][64]) {
    char path[64], line[256];
    size_t found = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL && found < 4)
        if (strncmp(line, "SigBlk", 6) == 0 || strncmp(line, "SigIgn", 6) == 0 ||
            strncmp(line, "SigCgt", 6) == 0 || strncmp(line, "SigPnd", 6) == 0)
            snprintf(text[found++], 64, "%.60s", line);
    fclose(file);
    assert_int_equal(found, 4);
}

static void count_trap(int number) {
    (void)number;
}

static void trap_blocked_body(child_board *board) {
    sigset_t trap;
    sigemptyset(&trap);
    sigaddset(&trap, SIGTRAP);
    sigprocmask(SIG_BLOCK, &trap, NULL);
    signal(SIGTRAP, count_trap);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void trap_ignored_body(child_board *board) {
    signal(SIGTRAP, SIG_IGN);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void assert_signals_stay(void (*body)(child_board *board)) {
    char before[4][64], after[4][64];
    test_child child = child_start(body);
    read_signals(child.pid, before);
    fork_once(child.pid);
    read_signals(child.pid, after);
    for (int i = 0; i < 4; i++)
        assert_string_equal(before[i], after[i]);
    child_end(&child);
}

static void the_traps_disposition_stays(void **state) {
    (void)state;
    assert_signals_stay(trap_blocked_body);
    assert_signals_stay(trap_ignored_body);
}

static void every_call_body(child_board *board) {
    start_every_call(board);
    for (;;)
        pause();
}

/* --- Stopped, init of a namespace, subreaper --- */

/* Without the calls that SIGSTOP itself lets answer EINTR. */
static void stoppable_body(child_board *board) {
    static const workload kinds[] = {check_registers, check_nanosleep, check_clock_nanosleep,
                                     check_futex,     check_read,      check_poll,
                                     check_select,    check_wait};
    start_workloads(board, kinds, sizeof kinds / sizeof kinds[0]);
    for (;;)
        pause();
}

static void a_stopped_target_stays_stopped(void **state) {
    (void)state;
    test_child child = child_start(stoppable_body);
    int status;
    kill(child.pid, SIGSTOP);
    assert_int_equal(waitpid(child.pid, &status, WUNTRACED), child.pid);
    for (int i = 0; i < 5; i++) {
        fork_run *run = begin_well(child.pid);
        assert_true(wait_for_thread_state(child.pid, child.pid, 'T'));
        end_well(run);
        assert_true(wait_for_thread_state(child.pid, child.pid, 'T'));
    }
    uint64_t rounds = atomic_load(&child.board->words[WORD_ROUNDS]);
    sleep_ms(20);
    assert_int_equal(atomic_load(&child.board->words[WORD_ROUNDS]), rounds);
    kill(child.pid, SIGCONT);
    wait_for_rounds(child.board, 100);
    assert_no_errors(child.board);
    child_end(&child);
}

static void namespace_body(child_board *board) {
    run_as_init_of_a_namespace(board, every_call_body);
}

static void the_init_of_a_namespace(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    test_child child = child_start(namespace_body);
    assert_true(wait_until(&child.board->pids[0]));
    pid_t init = atomic_load(&child.board->pids[0]);
    for (int i = 0; i < 5; i++) {
        fork_run *run = begin_well(init);
        assert_int_not_equal(run->fork->copy_pid_in_target, run->fork->copy_pid);
        end_well(run);
        assert_no_errors(child.board);
    }
    wait_for_rounds(child.board, 100);
    assert_no_errors(child.board);
    kill(init, SIGKILL);
    child_end(&child);
}

static void subreaper_body(child_board *board) {
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    every_call_body(board);
}

static void a_subreaper(void **state) {
    (void)state;
    test_child child = child_start(subreaper_body);
    for (int i = 0; i < 5; i++)
        fork_once(child.pid);
    wait_for_rounds(child.board, 100);
    assert_no_errors(child.board);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_copy_is_frozen_while_the_target_writes),
        cmocka_unit_test(the_copy_has_no_part_in_the_targets_doings),
        cmocka_unit_test(neither_stack_shows_the_frame),
        cmocka_unit_test(a_target_that_waits_finds_no_child),
        cmocka_unit_test(the_traps_disposition_stays),
        cmocka_unit_test(a_stopped_target_stays_stopped),
        cmocka_unit_test(the_init_of_a_namespace),
        cmocka_unit_test(a_subreaper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
