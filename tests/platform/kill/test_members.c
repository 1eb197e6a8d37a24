/* SPDX-License-Identifier: MIT */
/* A fork that is heard of gives a number to a new member, whoever had it before, unless it is that
 * very fork which is heard of once more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/linux/kill/tree.h"

static pi_kill_tree tree;

static pi_kill_member *add(int place, pid_t pid, uint64_t start_ticks) {
    pi_kill_member *member = &tree.members[place];
    *member = (pi_kill_member){.pid = pid,
                               .pidfd = -1, /* there was none left */
                               .start_ticks = start_ticks,
                               .latest_start_ticks = start_ticks,
                               .live_place = (uint32_t)place,
                               .is_tied = true,
                               .was_there = true};
    pi_kill_index_set(&tree.members_by_pid, pid, place);
    tree.live[place] = (uint32_t)place;
    tree.live_count = (uint32_t)(tree.member_count = (size_t)place + 1);
    return member;
}

static pid_t start_child(pi_kill_process *about) {
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        alarm(60); /* should the test have ended before that */
        for (;;)
            pause();
    }
    assert_int_equal(pi_kill_read_process(&tree, child, about), 0);
    return child;
}

static void a_number_is_given_again(void **state) {
    (void)state;
    pi_kill_process root, child;
    tree.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tree.events = tree.epoll = -1;
    tree.is_read = true;
    assert_int_equal(pi_kill_read_process(&tree, getpid(), &root), 0);
    pid_t pid = start_child(&child);
    const pi_kill_fork heard = {getpid(), pid, child.start_ticks};

    add(0, getpid(), root.start_ticks);
    const pi_kill_member *itself = add(1, pid, child.start_ticks);
    pi_kill_note_fork(&tree, &heard);
    assert_int_equal(tree.member_count, 2);
    assert_false(itself->has_ended);

    /* Its owner before was another, and is dead and waited for. */
    pi_kill_member *before = add(1, pid, child.start_ticks - 1);
    before->was_signalled = true; /* so that its record is kept */
    pi_kill_note_fork(&tree, &heard);
    assert_true(before->has_ended);
    assert_int_equal(tree.member_count, 3);
    assert_int_equal(tree.live_count, 2);
    assert_ptr_equal(pi_kill_find_member(&tree, pid), &tree.members[2]);
    assert_false(tree.members[2].has_ended);

    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(tree.proc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_given_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
