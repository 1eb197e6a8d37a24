/* SPDX-License-Identifier: MIT */
/* Who can't be traced isn't waited for until he is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/linux/kill/tree.h"

static pi_kill_tree tree;
static pi_helper helper;

static pid_t start_child(void) {
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        alarm(60); /* should the test have ended before that */
        for (;;)
            pause();
    }
    assert_true(child > 0);
    return child;
}

/* Of one child, which is its root; tree and helper are as those of a helper that begins. */
static pid_t begin_tree(void) {
    pi_kill_process about;
    pid_t child = start_child();
    helper.host_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    tree.helper = &helper;
    tree.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(helper.host_pidfd >= 0 && tree.proc >= 0);
    tree.root_pid = child;
    tree.events = tree.epoll = tree.child_signals = -1;
    assert_int_equal(pi_kill_read_process(&tree, child, &about), 0);
    tree.members[0] = (pi_kill_member){
        .pid = child, .pidfd = -1, .start_ticks = about.start_ticks, .is_tied = true};
    tree.member_count = tree.live_count = 1;
    pi_kill_index_set(&tree.members_by_pid, child, 0);
    return child;
}

static void end_tree(pid_t child) {
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(tree.proc);
    close(helper.host_pidfd);
}

/* In a grace its members run on, and what they fork goes on being new: to look until nobody is new
 * would mean to wait for the time limit. */
static void members_are_not_followed(void **state) {
    (void)state;
    pid_t child = begin_tree();
    tree.never_trace = true;
    pi_kill_follow_all(&tree);
    assert_int_equal(tree.members[0].hold, PI_KILL_REFUSED);
    assert_int_equal(tree.process_count, 0); /* nobody was looked for */
    assert_false(tree.all_are_traced);

    end_tree(child);
}

/* On a busy machine the helper may have had no processor for all of the time that it had. */
static void the_root_is_looked_at_though_time_is_up(void **state) {
    (void)state;
    pid_t child = begin_tree();
    tree.never_trace = false;
    tree.phase = PI_KILL_HOLDING;
    tree.end_by_ns = UINT64_MAX / 2; /* of what watches a helper */
    pi_kill_seize(&tree, &tree.members[0]);
    bool may_be_traced = tree.members[0].hold == PI_KILL_SEIZED;
    pi_kill_want_reaper(&tree);
    tree.adopt_by_ns = 1;
    for (int i = 0; i < 10 && tree.wants_reaper; i++)
        pi_kill_adopt(&tree);
    pi_helper_stop_watchdog(&helper);
    end_tree(child);
    if (!may_be_traced)
        skip();
    assert_true(tree.has_reaper);
}

/* The host is never stopped by a signal, and others are where a link could be lost otherwise. */
static void who_counts_as_held(void **state) {
    (void)state;
    static const struct {
        pi_kill_phase phase;
        int events;
        bool has_reaper, is_last, is_held;
    } cases[] = {
        {PI_KILL_FOLLOWING, -1, false, false, true}, {PI_KILL_HOLDING, -1, false, false, false},
        {PI_KILL_HOLDING, -1, false, true, true},    {PI_KILL_HOLDING, -1, true, false, true},
        {PI_KILL_HOLDING, 3, false, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pi_kill_member member = {.hold = PI_KILL_REFUSED, .is_last = cases[i].is_last};
        tree.phase = cases[i].phase;
        tree.events = cases[i].events;
        tree.has_reaper = cases[i].has_reaper;
        assert_int_equal(pi_kill_is_held(&tree, &member), cases[i].is_held);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_not_followed),
        cmocka_unit_test(the_root_is_looked_at_though_time_is_up),
        cmocka_unit_test(who_counts_as_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
