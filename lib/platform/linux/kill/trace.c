/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "platform/linux/kill/tree.h"
#include "platform/linux/trace/helper_system_call.h"
#include "platform/linux/trace/stop.h"

/*
 * Holding members by tracing them. A seized thread is told to stop and is never let go on: it dies
 * where it stands. What it forks before it stops is seized, too, and stops before its first
 * instruction. While members are only followed, all that stops goes on at once. Should the helper
 * die, the kernel lets go of all of them, and they run on.
 */

enum {
    FORK_OPTIONS = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE,
    LARGEST_PASSES = 100,
    REFUSED_PASSES = 4, /* until a thread that can't be seized is one that we may not */
    MOST_AT_ONCE = 512,
    EVENT_SHIFT = 16,
    EVENT_STOP = 128, /* PTRACE_EVENT_STOP, which libc's header lacks */
    STATE_BITS = 7
};

static const uint64_t seize_limit_ns = UINT64_C(5000000000);

/*
 * How a thread is, in the index of threads behind the member's place. RUNS: it was told to stop,
 * and may still be in a fork that began before it was seized. ASLEEP: the same, and it was in D
 * when it was last looked at. FOLLOWED: it has stopped once, and runs on with all its forks traced.
 * STANDS and what follows: it stands, and has yet to take the signal of this number, 0 for none.
 */
enum { RUNS, ASLEEP, STRANGER, FOLLOWED, STANDS };

static int32_t thread_value(const pi_kill_tree *tree, const pi_kill_member *member, int state) {
    return (int32_t)((uint32_t)(member - tree->members) << STATE_BITS | (uint32_t)state);
}

static int state_of(int32_t value) {
    return value & ((1 << STATE_BITS) - 1);
}

static pi_kill_member *member_of(pi_kill_tree *tree, int32_t value) {
    return &tree->members[value >> STATE_BITS];
}

/* The thread isn't waited for any more. One that slept may have been in a fork all the time. */
static void uncount(pi_kill_member *member, int state) {
    member->is_whole &= state != ASLEEP;
    member->running_threads -= state == RUNS;
    member->sleeping_threads -= state == ASLEEP;
}

static void add_thread(pi_kill_tree *tree, pi_kill_member *member, int32_t tid, int state) {
    pi_kill_index_set(&tree->threads, tid, thread_value(tree, member, state));
    member->hold = PI_KILL_SEIZED;
    if (state == RUNS)
        member->running_threads++;
    tree->heard_news = true;
}

/* That the number is still its thread's, now that tracing keeps it. */
static bool is_thread_of(pi_kill_tree *tree, pi_kill_member *member, int32_t tid) {
    pi_kill_process process;
    if (tid != member->pid)
        return pi_kill_thread_state(tree, member->pid, tid) != 'X';
    if (member->pidfd >= 0)
        return pi_kill_send(tree, member, 0) != -ESRCH;
    return pi_kill_read_process(tree, tid, &process) == 0 &&
           process.start_ticks == member->start_ticks;
}

/* Seized with its parent, and yet to report it: all its forks are traced. */
static void add_attached(pi_kill_tree *tree, pi_kill_member *member, int32_t tid) {
    add_thread(tree, member, tid, tree->phase == PI_KILL_FOLLOWING ? FOLLOWED : RUNS);
}

/* Tells the thread to stop; false where we don't trace who has this number. */
static bool tell_to_stop(int32_t tid) {
    return raw_ptrace(PTRACE_INTERRUPT, tid, 0, 0) != -ESRCH;
}

/* Known threads are told once more: in execve one that isn't seized may have taken the number of
 * the first. */
static bool seize_thread(pi_kill_tree *tree, int32_t pid, int32_t tid) {
    pi_kill_member *member = pi_kill_find_member(tree, pid);
    int32_t value = pi_kill_index_find(&tree->threads, tid);
    if (member == NULL || (value >= 0 && (state_of(value) == STRANGER || tell_to_stop(tid))))
        return true;
    tree->has_begun = true;
    long result = raw_ptrace(PTRACE_SEIZE, tid, 0, FORK_OPTIONS);
    if (result == -EPERM && pi_kill_read_status(tree, tid, "TracerPid") == tree->own_pid) {
        add_attached(tree, member, tid);
        return true;
    }
    if (result != 0) {
        tree->missed_thread = true;
        return true;
    }
    tree->found_untraced = true;
    if (!tell_to_stop(tid)) /* seizing waits for the end of an execve, which changes the number */
        tell_to_stop(tid = pid);
    if (is_thread_of(tree, member, tid))
        add_thread(tree, member, tid, RUNS);
    else
        pi_kill_index_set(&tree->threads, tid, STRANGER);
    return true;
}

void pi_kill_arm_watchdog(pi_kill_tree *tree) {
    pi_helper_start_watchdog(tree->helper, seize_limit_ns);
}

void pi_kill_disarm_watchdog(pi_kill_tree *tree) {
    uint64_t now_ns = raw_now_ns();
    pi_helper_start_watchdog(tree->helper, tree->end_by_ns > now_ns ? tree->end_by_ns - now_ns : 1);
}

bool pi_kill_seize_unseen(pi_kill_tree *tree, pi_kill_member *member) {
    if (tree->never_trace || pi_kill_index_find(&tree->threads, member->pid) >= 0)
        return false;
    pi_kill_arm_watchdog(tree);
    bool is_seized = raw_ptrace(PTRACE_SEIZE, member->pid, 0, FORK_OPTIONS) == 0;
    pi_kill_disarm_watchdog(tree);
    if (!is_seized)
        return false;
    raw_ptrace(PTRACE_INTERRUPT, member->pid, 0, 0);
    add_thread(tree, member, member->pid, RUNS);
    tree->has_begun = true;
    tree->found_untraced = true;
    return true;
}

void pi_kill_disown(pi_kill_tree *tree, int32_t tid) {
    if (pi_kill_index_find(&tree->threads, tid) >= 0)
        pi_kill_index_set(&tree->threads, tid, STRANGER);
}

/* Until a pass finds none that isn't known. */
static void seize_threads(pi_kill_tree *tree, pi_kill_member *member) {
    pi_kill_arm_watchdog(tree);
    seize_thread(tree, member->pid, member->pid); /* before it forks once more */
    for (int pass = 0; pass < LARGEST_PASSES; pass++) {
        uint32_t thread_count = pi_kill_count_threads(tree, member->pid);
        tree->heard_news = tree->missed_thread = false;
        pi_kill_each_thread(tree, member->pid, seize_thread);
        if (!tree->heard_news && tree->listed_thread_count >= thread_count &&
            (!tree->missed_thread || pass >= REFUSED_PASSES))
            break;
    }
    pi_kill_disarm_watchdog(tree);
}

void pi_kill_seize(pi_kill_tree *tree, pi_kill_member *member) {
    bool had_news = tree->heard_news, had_untraced = tree->found_untraced;
    bool have_stopped = member->hold == PI_KILL_SEIZED && member->running_threads == 0;
    tree->found_untraced = false;
    if (!tree->never_trace)
        seize_threads(tree, member);
    member->is_whole = have_stopped && !tree->found_untraced;
    tree->heard_news = had_news || tree->found_untraced;
    tree->found_untraced |= had_untraced;
    if (member->hold != PI_KILL_RUNS)
        return;
    member->hold = PI_KILL_REFUSED;
    tree->found_untraced = true;
}

static bool interrupt_thread(pi_kill_tree *tree, int32_t pid, int32_t tid) {
    (void)pid;
    int32_t value = pi_kill_index_find(&tree->threads, tid);
    if (value >= 0 && state_of(value) == FOLLOWED) {
        add_thread(tree, member_of(tree, value), tid, RUNS);
        raw_ptrace(PTRACE_INTERRUPT, tid, 0, 0);
    }
    return true;
}

void pi_kill_interrupt(pi_kill_tree *tree, pi_kill_member *member) {
    pi_kill_each_thread(tree, member->pid, interrupt_thread);
}

static bool is_event(int status, int event) {
    return status >> EVENT_SHIFT == event;
}

/* The call that the stop has interrupted is run again where it would answer EINTR for our sake: but
 * for us a signal that is ignored wouldn't have woken it, and one with a handler still ends it. */
static void repair_call(int32_t tid) {
    struct user_regs_struct registers;
    if (raw_ptrace(PTRACE_GETREGS, tid, 0, (uintptr_t)&registers) == 0 &&
        pi_call_needs_restart(&registers))
        pi_call_restart(tid);
}

/* One that its user has stopped stays so, and reports when it goes on. */
static void resume(int32_t tid, int status) {
    bool is_stopped = is_event(status, EVENT_STOP) && WSTOPSIG(status) != SIGTRAP;
    if (!is_stopped)
        repair_call(tid);
    raw_ptrace(is_stopped ? PTRACE_LISTEN : PTRACE_CONT, tid, 0,
               (uintptr_t)pi_stop_signal_of(status));
}

bool pi_kill_keeps_number(pi_kill_tree *tree, const pi_kill_member *member) {
    int32_t value = pi_kill_index_find(&tree->threads, member->pid);
    return value >= 0 && state_of(value) != STRANGER && member_of(tree, value) == member;
}

int pi_kill_take_stop(pi_kill_tree *tree, int32_t tid) {
    int32_t value = pi_kill_index_find(&tree->threads, tid);
    if (value < 0 || state_of(value) < STANDS)
        return -1;
    add_thread(tree, member_of(tree, value), tid, RUNS);
    return state_of(value) - STANDS;
}

void pi_kill_detach_thread(int32_t tid, int signal) {
    repair_call(tid);
    raw_ptrace(PTRACE_DETACH, tid, 0, (uintptr_t)signal);
}

static bool detach_thread(pi_kill_tree *tree, int32_t pid, int32_t tid) {
    (void)pid;
    int32_t value = pi_kill_index_find(&tree->threads, tid);
    if (value >= 0 && state_of(value) >= STANDS) {
        pi_kill_detach_thread(tid, state_of(value) - STANDS);
        pi_kill_index_remove(&tree->threads, tid);
    }
    return true;
}

void pi_kill_detach(pi_kill_tree *tree, pi_kill_member *member) {
    pi_kill_each_thread(tree, member->pid, detach_thread);
}

/* A thread that we didn't seize: its process or parent was. */
static void add_new_thread(pi_kill_tree *tree, int32_t tid) {
    int32_t pid = pi_kill_read_status(tree, tid, "Tgid");
    pi_kill_member *member =
        pid == tid ? pi_kill_note_seized(tree, pid) : pi_kill_find_member(tree, pid);
    if (member != NULL)
        add_attached(tree, member, tid);
}

static void note_stop(pi_kill_tree *tree, int32_t tid, int status) {
    if (pi_kill_index_find(&tree->threads, tid) < 0)
        add_new_thread(tree, tid);
    int32_t value = pi_kill_index_find(&tree->threads, tid);
    bool is_stranger = value >= 0 && state_of(value) == STRANGER;
    bool goes_on = tree->phase == PI_KILL_FOLLOWING;
    if (is_stranger) {
        pi_kill_detach_thread(tid, pi_stop_signal_of(status));
        pi_kill_index_remove(&tree->threads, tid);
    } else if (goes_on) {
        resume(tid, status);
    }
    if (value < 0 || is_stranger)
        return;
    pi_kill_member *member = member_of(tree, value);
    uncount(member, state_of(value));
    pi_kill_index_set(
        &tree->threads, tid,
        thread_value(tree, member, goes_on ? FOLLOWED : STANDS + pi_stop_signal_of(status)));
}

static void note_end(pi_kill_tree *tree, int32_t tid) {
    int32_t value = pi_kill_index_find(&tree->threads, tid);
    pi_kill_index_remove(&tree->threads, tid);
    if (value < 0 || state_of(value) == STRANGER)
        return;
    pi_kill_member *member = member_of(tree, value);
    uncount(member, state_of(value));
    if (tid == member->pid && member->is_tied && member->pidfd < 0)
        pi_kill_mark_ended(tree, member); /* nothing else will tell; it is the last to be told of */
}

/* Not until none is left: who is followed can give them faster than they are taken. */
void pi_kill_reap(pi_kill_tree *tree) {
    for (int count = 0; count < MOST_AT_ONCE; count++) {
        int status;
        long tid = raw_wait(-1, &status, __WALL | WNOHANG);
        tree->has_tracees = tid >= 0;
        if (tid <= 0)
            return;
        tree->heard_news = true;
        if (WIFSTOPPED(status))
            note_stop(tree, (int32_t)tid, status);
        else
            note_end(tree, (int32_t)tid);
    }
}

/* A thread in D can't be stopped; one that comes to it on its way through a fork is waited for. One
 * that executed a program from another than the first thread
 * has changed its number without a word. */
static bool count_waited_for(pi_kill_tree *tree, int32_t pid, int32_t tid) {
    pi_kill_member *member = pi_kill_find_member(tree, pid);
    int32_t value = pi_kill_index_find(&tree->threads, tid);
    if (member == NULL || value < 0 || (state_of(value) != RUNS && state_of(value) != ASLEEP))
        return true;
    bool sleeps =
        pi_kill_thread_state(tree, pid, tid) == 'D' && !pi_kill_may_be_forking(tree, pid, tid);
    pi_kill_index_set(&tree->threads, tid, thread_value(tree, member, sleeps ? ASLEEP : RUNS));
    member->sleeping_threads += sleeps;
    member->running_threads += !sleeps;
    return true;
}

void pi_kill_look_closer(pi_kill_tree *tree, pi_kill_member *member) {
    if (member->running_threads == 0 && member->sleeping_threads == 0)
        return;
    member->running_threads = member->sleeping_threads = 0;
    pi_kill_each_thread(tree, member->pid, count_waited_for);
}

static bool stands(pi_kill_tree *tree, int32_t pid, int32_t tid) {
    char state = pi_kill_thread_state(tree, pid, tid);
    return state == 'T' || state == 't' || state == 'D' || state == 'Z' || state == 'X';
}

/* Of those that can't be traced. Where no link is lost there is nothing to stand still for; who is
 * only followed runs on, and so does the host. */
bool pi_kill_must_stand(const pi_kill_tree *tree, const pi_kill_member *member) {
    return tree->phase == PI_KILL_HOLDING && tree->events < 0 && !tree->has_reaper &&
           !member->is_last;
}

bool pi_kill_is_held(pi_kill_tree *tree, pi_kill_member *member) {
    if (member->has_ended || member->is_other_users)
        return true;
    switch (member->hold) {
    case PI_KILL_SEIZED:
        return member->running_threads == 0 && member->is_whole;
    case PI_KILL_REFUSED:
        return !pi_kill_must_stand(tree, member) || member->os_errno != 0;
    case PI_KILL_STOPPED:
        return pi_kill_each_thread(tree, member->pid, stands);
    default:
        return false;
    }
}
