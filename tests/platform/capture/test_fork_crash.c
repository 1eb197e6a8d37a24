/* Helpers that are killed at any moment of a fork: the target goes on as if nothing had been. */
#include "platform/capture/child.h"
#include "platform/capture/crash_checks.h"
#include "platform/capture/fork_run.h"
#include "platform/capture/fork_workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platform/linux/capture/copy.h"
#include "platform/linux/trace/inject_frame.h"

enum { OWN_STATUS = 5 };

/* Kills the helper after this time from the moment that it begins; what it does then depends on the
 * machine, and is to be anything. */
static void crash(pid_t pid, unsigned delay_us, unsigned *rounds) {
    fork_run *run = fork_begin_repeated(pid);
    while (atomic_load(&run->helper_pid) == 0)
        sched_yield();
    struct timespec delay = {0, (long)delay_us * 1000};
    nanosleep(&delay, NULL);
    kill(atomic_load(&run->helper_pid), SIGKILL);
    fork_end(run);
    assert_int_not_equal(run->helper_result, 0);
    *rounds += atomic_load(&run->rounds);
    fork_free(run);
}

/* How long a helper takes that isn't killed. */
static unsigned usual_time_us(pid_t pid) {
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    fork_once(pid);
    clock_gettime(CLOCK_MONOTONIC, &end);
    long time_us = (end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000;
    return time_us < 500000 ? (unsigned)time_us : 500000;
}

/* The next fork reaps what was left; unless that was still being forked when the fork began to
 * look, since who makes the call goes on with it: then the one after that does. */
static void fork_reaping(pid_t pid) {
    int zombies = 0;
    fork_once(pid);
    assert_few_zombies(pid, &zombies);
    if (zombies != 0)
        fork_once(pid);
    assert_true(count_children(pid) <= 0);
}

static void crash_so_often(void (*body)(child_board *board), int count) {
    test_child child = child_start(body);
    unsigned rounds = 0;
    int zombies = 0;
    srandom((unsigned)getpid());
    unsigned most_us = usual_time_us(child.pid) + 1;
    for (int i = 0; i < count; i++) {
        crash(child.pid, (unsigned)random() % most_us, &rounds);
        wait_for_rounds(child.board, 20);
        assert_no_errors(child.board);
        assert_false(is_stopped(child.pid));
        assert_few_zombies(child.pid, &zombies);
        fork_reaping(child.pid);
    }
    print_message("# %d helpers killed after %u forks: %d zombies, %lu calls "
                  "interrupted\n",
                  count, rounds, zombies,
                  (unsigned long)atomic_load(&child.board->words[WORD_INTERRUPTED]));
    wait_for_rounds(child.board, 100);
    assert_no_errors(child.board);
    assert_int_equal(atomic_load(&child.board->words[WORD_SIGNALS]), 0);
    child_end(&child);
}

static void crash_often(void (*body)(child_board *board)) {
    crash_so_often(body, crash_count());
}

/* --- Through threads that wait, and only through such that run --- */

/* One thread, in one call at a time: each crash meets it. */
static void sleeping_body(child_board *board) {
    atomic_store(&board->ready, 1);
    check_nanosleep(board);
}

static void epoll_body(child_board *board) {
    atomic_store(&board->words[WORD_MAY_BE_INTERRUPTED], 1);
    atomic_store(&board->ready, 1);
    check_epoll(board);
}

static void threads_in_calls(void **state) {
    (void)state;
    crash_often(interruptible_body);
}

static void threads_that_run(void **state) {
    (void)state;
    crash_often(registers_body);
}

static void threads_with_tiles(void **state) {
    (void)state;
    crash_often(tiles_body);
}

static void the_only_thread(void **state) {
    (void)state;
    crash_often(sleeping_body);
    crash_often(epoll_body);
}

/* The way home of a program that has no code for it. */
static void threads_without_a_restorer(void **state) {
    const int count = crash_count() / 5;
    (void)state;
    fork_lacks_restorer = true;
    crash_so_often(interruptible_body, count);
    crash_so_often(registers_body, count);
    crash_so_often(sleeping_body, count);
    fork_lacks_restorer = false;
}

/* --- Stopped targets --- */

static void a_stopped_target(void **state) {
    (void)state;
    test_child child = child_start(sleeping_body);
    unsigned rounds = 0;
    int status, zombies = 0;
    srandom((unsigned)getpid());
    unsigned most_us = usual_time_us(child.pid) + 1;
    for (int i = 0; i < crash_count() / 5; i++) {
        kill(child.pid, SIGSTOP);
        assert_int_equal(waitpid(child.pid, &status, WUNTRACED), child.pid);
        crash(child.pid, (unsigned)random() % most_us, &rounds);
        assert_true(wait_for_thread_state(child.pid, child.pid, 'T'));
        kill(child.pid, SIGCONT);
        wait_for_rounds(child.board, 5);
        assert_no_errors(child.board);
        assert_few_zombies(child.pid, &zombies);
        fork_reaping(child.pid);
    }
    child_end(&child);
}

/* --- Whose zombies are whose --- */

/* Never -1, which to kill would be everybody. */
static long fork_without_signal(void) {
    long pid = syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
    if (pid < 0)
        _exit(98);
    return pid;
}

/* Three children that look like copies, more or less. */
static void zombies_body(child_board *board) {
    long ended = fork_without_signal();
    if (ended == 0)
        _exit(OWN_STATUS);
    long killed = fork_without_signal();
    if (killed == 0)
        for (;;)
            pause();
    kill((pid_t)killed, SIGKILL);
    pid_t ordinary = fork();
    if (ordinary == 0)
        _exit(PI_INJECT_ORPHAN_STATUS);
    atomic_store(&board->pids[0], (int)ended);
    atomic_store(&board->pids[1], (int)killed);
    atomic_store(&board->pids[2], ordinary);
    atomic_store(&board->ready, 1);
    while (atomic_load(&board->words[0]) == 0)
        sleep_ms(1);
    int seen[3] = {0};
    waitpid((pid_t)ended, &seen[0], __WALL);
    waitpid((pid_t)killed, &seen[1], __WALL);
    waitpid(ordinary, &seen[2], 0);
    bool is_right = WIFEXITED(seen[0]) && WEXITSTATUS(seen[0]) == OWN_STATUS &&
                    WIFSIGNALED(seen[1]) && WTERMSIG(seen[1]) == SIGKILL && WIFEXITED(seen[2]) &&
                    WEXITSTATUS(seen[2]) == PI_INJECT_ORPHAN_STATUS;
    atomic_store(&board->words[1], is_right ? 1 : 2);
    for (;;)
        pause();
}

/* With what marks copies: its children have it, too. */
static void take_mark(void) {
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, PI_COPY_OOM_MARK, sizeof PI_COPY_OOM_MARK - 1) < 0)
        _exit(95);
    close(file);
}

static void marked_zombies_body(child_board *board) {
    take_mark();
    zombies_body(board);
}

static void assert_left_alone(void (*body)(child_board *board)) {
    test_child child = child_start(body);
    for (int i = 0; i < 3; i++)
        assert_true(wait_for_thread_state(atomic_load(&child.board->pids[i]),
                                          atomic_load(&child.board->pids[i]), 'Z'));
    fork_once(child.pid);
    fork_once(child.pid);
    assert_int_equal(count_children(child.pid), 3);
    atomic_store(&child.board->words[0], 1);
    while (atomic_load(&child.board->words[1]) == 0)
        sleep_ms(1);
    assert_int_equal(atomic_load(&child.board->words[1]), 1);
    child_end(&child);
}

static void the_targets_own_children_are_left_to_it(void **state) {
    (void)state;
    assert_left_alone(zombies_body);
    assert_left_alone(marked_zombies_body);
}

/* A child with the status that a copy ends with by itself. */
static void orphan_body(child_board *board) {
    long ended = fork_without_signal();
    if (ended == 0)
        _exit(PI_INJECT_ORPHAN_STATUS);
    atomic_store(&board->pids[0], (int)ended);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

/* What the kernel tells of a child's numbers stands behind all its groups. */
static void many_groups_body(child_board *board) {
    enum { GROUPS = 600, LONG_NUMBER = 1000000000 };
    gid_t groups[GROUPS];
    for (unsigned i = 0; i < GROUPS; i++)
        groups[i] = LONG_NUMBER + i;
    if (geteuid() == 0 && setgroups(GROUPS, groups) != 0)
        _exit(96);
    orphan_body(board);
}

/* One that was killed with its helper, of a process that has the mark itself. */
static void marked_body(child_board *board) {
    take_mark();
    long copy = fork_without_signal();
    if (copy == 0) {
        setpgid(0, 0);
        kill(getpid(), SIGKILL);
    }
    atomic_store(&board->pids[0], (int)copy);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void assert_reaped(void (*body)(child_board *board)) {
    test_child child = child_start(body);
    pid_t left = atomic_load(&child.board->pids[0]);
    assert_true(wait_for_thread_state(left, left, 'Z'));
    if (count_children(child.pid) < 0)
        skip();
    fork_once(child.pid);
    assert_int_equal(count_children(child.pid), 0);
    child_end(&child);
}

static void a_copy_that_was_left_is_reaped(void **state) {
    (void)state;
    assert_reaped(orphan_body);
    assert_reaped(many_groups_body);
    assert_reaped(marked_body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_in_calls),
        cmocka_unit_test(threads_that_run),
        cmocka_unit_test(threads_with_tiles),
        cmocka_unit_test(the_only_thread),
        cmocka_unit_test(threads_without_a_restorer),
        cmocka_unit_test(a_stopped_target),
        cmocka_unit_test(the_targets_own_children_are_left_to_it),
        cmocka_unit_test(a_copy_that_was_left_is_reaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
