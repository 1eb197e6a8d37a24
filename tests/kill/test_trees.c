/* Every kind of tree is ended whole, and nothing beside it is touched. */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FEW = 10, MANY = 1000, GRACE_MS = 50, NOBODY = 65534 };

#define TREES(test, kind, number, members, few, many)                                              \
    static void test(void **state) {                                                               \
        (void)state;                                                                               \
        for (int i = tree_runs(few, many); i > 0; i--)                                             \
            tree_end_whole(kind, number, members, 0);                                              \
    }
TREES(sleeping_children, "wide", 3, 4, FEW, MANY)
TREES(forking_without_pause, "forks", 0, 2, FEW / 2, MANY)
TREES(forking_and_ending_without_pause, "runners", 0, 1, FEW, MANY)
TREES(workers_that_leave_children, "workers", 0, 1, FEW, MANY)
TREES(double_forks_with_sessions_of_their_own, "daemons", 0, 1, FEW, MANY)
TREES(ignored_signals, "deaf", 3, 4, FEW, MANY)
TREES(sessions_and_groups, "groups", 4, 9, FEW, MANY)
TREES(stopped_members, "stopped", 3, 4, FEW, MANY)
TREES(zombies, "zombies", 3, 4, FEW, MANY)
TREES(members_that_wait_in_the_kernel, "vfork", 3, 7, FEW, MANY)
TREES(threads_that_fork, "threads", 2, 3, FEW, MANY)
TREES(processes_without_their_first_thread, "leaderless", 2, 3, FEW, MANY)

static void a_pid_namespace_with_its_own_init(void **state) {
    (void)state;
    int said[2];
    char byte;
    assert_int_equal(pipe2(said, O_CLOEXEC), 0);
    pid_t probe = fork();
    if (probe == 0)
        _exit((unshare(CLONE_NEWPID) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0) &&
              write(said[1], "", 1) == 1);
    close(said[1]);
    bool is_allowed = read(said[0], &byte, 1) == 1;
    close(said[0]);
    if (!is_allowed)
        skip();
    for (int i = tree_runs(FEW, MANY); i > 0; i--)
        tree_end_whole("namespace", 1, 6, 0);
}

/* A debugger holds a member, stopped. */
static void a_member_that_a_debugger_holds(void **state) {
    (void)state;
    for (int i = tree_runs(FEW, MANY); i > 0; i--) {
        tree_run run;
        bool witnesses_are_well;
        tree_start(&run, NULL, "wide", 3);
        pid_t traced = run.log->processes[1].pid;
        int said[2];
        char byte;
        assert_int_equal(pipe2(said, O_CLOEXEC), 0);
        pid_t debugger = fork();
        assert_true(debugger >= 0);
        if (debugger == 0) {
            bool attached = ptrace(PTRACE_SEIZE, traced, 0, 0) == 0 &&
                            ptrace(PTRACE_INTERRUPT, traced, 0, 0) == 0 &&
                            waitpid(traced, NULL, __WALL) == traced;
            if (!attached || write(said[1], "", 1) != 1)
                _exit(errno);
            for (;;)
                pause();
        }
        close(said[1]);
        bool is_held = read(said[0], &byte, 1) == 1;
        close(said[0]);
        const procinspect_kill_report *report = tree_end(&run, NULL);
        kill(debugger, SIGKILL);
        tree_wait_for_end(debugger);
        assert_int_equal(report->ended_count, 4);
        assert_int_equal(tree_clear(&run, report->read_at_ns, &witnesses_are_well), 0);
        assert_true(witnesses_are_well);
        procinspect_kill_report_free(report);
        if (!is_held)
            skip(); /* Yama */
    }
}

/* SIGTERM is enough for some, the others are killed; all that is forked meanwhile, too. */
static void grace(void **state) {
    (void)state;
    static const char *const kinds[] = {"wide", "deaf", "runners", "workers", "stopped", "forks"};
    for (int i = 0; i < tree_runs(6, 600); i++)
        tree_end_whole(kinds[(size_t)i % (sizeof kinds / sizeof kinds[0])], 3, 1, GRACE_MS);
}

static void end_setuid_tree(const char *program, const char *kind) {
    tree_run run;
    bool witnesses_are_well;
    assert_int_equal(setresuid(NOBODY, NOBODY, 0), 0);
    tree_start(&run, program, kind, 3);
    const procinspect_kill_report *report = tree_end(&run, NULL);
    assert_int_equal(report->survived_count + report->refused_count, 0);
    assert_int_equal(report->ended_count + report->already_gone_count, report->count);
    int lost = tree_clear(&run, report->read_at_ns, &witnesses_are_well);
    assert_true(witnesses_are_well);
    assert_int_equal(lost, 0);
    procinspect_kill_report_free(report);
    assert_int_equal(setresuid(0, 0, 0), 0);
}

/* They may be signalled by who started them, and not be traced. */
static void setuid_members(void **state) {
    (void)state;
    char program[64];
    snprintf(program, sizeof program, "/tmp/procinspect-setuid-%d", (int)getpid());
    if (!tree_copy_setuid(program))
        skip();
    for (int i = tree_runs(FEW, MANY); i > 0; i--) {
        end_setuid_tree(program, "wide");
        end_setuid_tree(program, "stopped");
    }
    unlink(program);
}

/* usage: test_kill_trees [PATTERN]   Runs the tests of these names alone; * and ? are wild. */
int main(int argc, char **argv) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sleeping_children),
        cmocka_unit_test(forking_without_pause),
        cmocka_unit_test(forking_and_ending_without_pause),
        cmocka_unit_test(workers_that_leave_children),
        cmocka_unit_test(double_forks_with_sessions_of_their_own),
        cmocka_unit_test(ignored_signals),
        cmocka_unit_test(sessions_and_groups),
        cmocka_unit_test(stopped_members),
        cmocka_unit_test(zombies),
        cmocka_unit_test(members_that_wait_in_the_kernel),
        cmocka_unit_test(threads_that_fork),
        cmocka_unit_test(processes_without_their_first_thread),
        cmocka_unit_test(a_pid_namespace_with_its_own_init),
        cmocka_unit_test(a_member_that_a_debugger_holds),
        cmocka_unit_test(grace),
        cmocka_unit_test(setuid_members),
    };
    return cmocka_run_group_tests(tests, tree_run_setup_waiting_for_none, NULL);
}
