/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "platform/linux/helper_system_call.h"
#include "platform/linux/kill_tree.h"

/*
 * Holding members by tracing them. A seized thread is told to stop and is never let go on: it dies
 * where it stands. What it forks before it stops is seized, too, and stops before its first
 * instruction. Should the helper die, the kernel lets go of all of them, and they run on.
 */

enum {
    FORK_OPTIONS = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE,
    LARGEST_PASSES = 100
};

/* What the index of threads holds: the member's place, and whether the thread stands. */
static int32_t thread_value(const pi_kill_tree *tree, const pi_kill_member *member, bool stands) {
    return (int32_t)(member - tree->members) * 2 + (stands ? 1 : 0);
}

static void add_thread(pi_kill_tree *tree, pi_kill_member *member, int32_t tid, bool stands) {
    pi_kill_index_set(&tree->threads, tid, thread_value(tree, member, stands));
    member->hold = PI_KILL_SEIZED;
    if (!stands)
        member->running_threads++;
    tree->heard_news = true;
}

static bool seize_thread(pi_kill_tree *tree, int32_t pid, int32_t tid) {
    pi_kill_member *member = pi_kill_find_member(tree, pid);
    if (member == NULL || pi_kill_index_find(&tree->threads, tid) >= 0)
        return true;
    tree->has_begun = true;
    long result = raw_ptrace(PTRACE_SEIZE, tid, 0, FORK_OPTIONS);
    if (result == 0) {
        raw_ptrace(PTRACE_INTERRUPT, tid, 0, 0);
        add_thread(tree, member, tid, false);
    } else if (result == -EPERM && pi_kill_read_status(tree, tid, "TracerPid") == tree->own_pid) {
        add_thread(tree, member, tid, false); /* seized with its parent, and yet to report it */
    }
    return true;
}

void pi_kill_seize(pi_kill_tree *tree, pi_kill_member *member) {
    bool had_news = tree->heard_news;
    seize_thread(tree, member->pid, member->pid); /* before it forks once more */
    for (int pass = 0; pass < LARGEST_PASSES; pass++) {
        tree->heard_news = false;
        pi_kill_each_thread(tree, member->pid, seize_thread);
        if (!tree->heard_news)
            break;
        had_news = true;
    }
    tree->heard_news = had_news;
    if (member->hold == PI_KILL_RUNS)
        member->hold = PI_KILL_REFUSED;
}

/* A thread that we didn't seize: its process or parent was. */
static void note_new_thread(pi_kill_tree *tree, int32_t tid) {
    int32_t pid = pi_kill_read_status(tree, tid, "Tgid");
    if (pid <= 0)
        return;
    if (pid == tid)
        pi_kill_note_seized(tree, pid);
    pi_kill_member *member = pi_kill_find_member(tree, pid);
    if (member != NULL)
        add_thread(tree, member, tid, true);
}

static void note_stop(pi_kill_tree *tree, int32_t tid) {
    int32_t value = pi_kill_index_find(&tree->threads, tid);
    if (value < 0) {
        note_new_thread(tree, tid);
    } else if (value % 2 == 0) {
        tree->members[value / 2].running_threads--;
        pi_kill_index_set(&tree->threads, tid, value + 1);
    }
}

static void note_end(pi_kill_tree *tree, int32_t tid) {
    int32_t value = pi_kill_index_find(&tree->threads, tid);
    if (value >= 0 && value % 2 == 0)
        tree->members[value / 2].running_threads--;
    pi_kill_index_remove(&tree->threads, tid);
}

void pi_kill_reap(pi_kill_tree *tree) {
    for (;;) {
        int status;
        long tid = raw_wait(-1, &status, __WALL | WNOHANG);
        if (tid <= 0)
            return;
        tree->heard_news = true;
        if (WIFSTOPPED(status))
            note_stop(tree, (int32_t)tid);
        else
            note_end(tree, (int32_t)tid);
    }
}

/* A thread in D can't be stopped, nor does it fork or end before it has stopped. One that executed
 * a program from another than the first thread has changed its number without a word. */
static bool count_running(pi_kill_tree *tree, int32_t pid, int32_t tid) {
    pi_kill_member *member = pi_kill_find_member(tree, pid);
    int32_t value = pi_kill_index_find(&tree->threads, tid);
    if (member == NULL || value < 0 || value % 2 != 0)
        return true;
    if (pi_kill_thread_state(tree, pid, tid) == 'D')
        pi_kill_index_set(&tree->threads, tid, value + 1);
    else
        member->running_threads++;
    return true;
}

void pi_kill_count_running(pi_kill_tree *tree, pi_kill_member *member) {
    member->running_threads = 0;
    pi_kill_each_thread(tree, member->pid, count_running);
}

static bool stands(pi_kill_tree *tree, int32_t pid, int32_t tid) {
    char state = pi_kill_thread_state(tree, pid, tid);
    return state == 'T' || state == 't' || state == 'D' || state == 'Z' || state == 'X';
}

bool pi_kill_is_held(pi_kill_tree *tree, pi_kill_member *member) {
    if (member->has_ended)
        return true;
    switch (member->hold) {
    case PI_KILL_SEIZED:
        return member->running_threads == 0;
    case PI_KILL_REFUSED:
        return tree->events >= 0 || tree->has_reaper || member->os_errno != 0;
    case PI_KILL_STOPPED:
        return pi_kill_each_thread(tree, member->pid, stands);
    default:
        return false;
    }
}
