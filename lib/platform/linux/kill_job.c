/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "platform/linux/helper_system_call.h"
#include "platform/linux/kill_tree.h"

/* The course of ending a tree: read, check, ask, hold, kill, look for what escaped. */

enum { STEP_NS = 10000000, LOOK_INTERVAL_NS = 50000000 };

static const uint64_t hold_limit_ns = UINT64_C(2000000000);

static bool is_left(const pi_kill_tree *tree) {
    return tree->ended_count < tree->member_count;
}

/* Every member takes a descriptor. The limit is the helper's own. */
static void raise_descriptor_limit(void) {
    struct rlimit limit = {0, 0};
    if (raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)&limit, 0);
}

static void refuse(pi_kill_tree *tree, pi_kill_refusal refusal, int32_t pid, int os_errno) {
    tree->refusal = refusal;
    tree->refused_pid = pid;
    tree->os_errno = os_errno;
}

static void check_member(pi_kill_tree *tree, pi_kill_member *member) {
    if (member->pid == tree->host_pid) {
        member->is_last = true;
        if (!tree->include_host)
            refuse(tree, PI_KILL_HOLDS_HOST, member->pid, 0);
        return;
    }
    uint32_t owner;
    if (pi_kill_read_owner(tree, member->pid, &owner) == 0 && tree->user_id != UINT64_MAX &&
        owner != tree->user_id) {
        tree->refused_user_id = owner;
        refuse(tree, PI_KILL_OTHER_USER, member->pid, 0);
        return;
    }
    int result = pi_kill_send(tree, member, 0);
    if (result == -EPERM || result == -ENOSYS)
        refuse(tree, PI_KILL_NOT_PERMITTED, member->pid, -result);
}

static bool read_and_check(pi_kill_tree *tree) {
    int result = pi_kill_open_wait(tree);
    if (result == 0)
        result = pi_kill_read_tree(tree);
    if (result != 0)
        refuse(tree, result == -E2BIG ? PI_KILL_TOO_MANY : PI_KILL_SYSTEM_CALL, tree->root_pid,
               -result);
    else if (tree->is_full)
        refuse(tree, PI_KILL_TOO_MANY, tree->root_pid, 0);
    for (size_t i = 0; tree->refusal == PI_KILL_ACCEPTED && i < tree->member_count; i++)
        if (!tree->members[i].has_ended)
            check_member(tree, &tree->members[i]);
    return tree->refusal == PI_KILL_ACCEPTED;
}

/* SIGCONT, too: what is stopped hears no SIGTERM. */
static void ask_to_end(pi_kill_tree *tree) {
    uint64_t until = raw_now_ns() + tree->grace_ns, next_look = 0;
    size_t asked = tree->member_count;
    tree->has_begun = true;
    for (size_t i = 0; i < asked; i++) {
        pi_kill_member *member = &tree->members[i];
        if (member->has_ended || member->is_last)
            continue;
        pi_kill_send(tree, member, SIGTERM);
        pi_kill_send(tree, member, SIGCONT);
    }
    for (;;) {
        uint64_t now = raw_now_ns();
        for (size_t i = 0; i < tree->member_count; i++)
            pi_kill_tie(tree, &tree->members[i]);
        bool only_host = tree->ended_count + (tree->include_host ? 1 : 0) >= tree->member_count;
        if (now >= until || pi_helper_must_stop(tree->helper))
            return;
        if (only_host && !pi_kill_wait(tree, 0)) /* nor has any forked before it ended */
            return;
        if (tree->events < 0 && now >= next_look) {
            pi_kill_look_again(tree);
            next_look = raw_now_ns() + LOOK_INTERVAL_NS;
        }
        pi_kill_wait(tree, until - now < STEP_NS ? until - now : STEP_NS);
    }
}

static void hold_member(pi_kill_tree *tree, pi_kill_member *member) {
    pi_kill_tie(tree, member);
    if (member->hold == PI_KILL_RUNS && !member->has_ended)
        pi_kill_seize(tree, member);
    /* Where no link is lost there is nothing to stop for. */
    if (member->has_ended || member->hold != PI_KILL_REFUSED || member->is_last ||
        tree->events >= 0 || tree->has_reaper)
        return;
    int result = pi_kill_send(tree, member, SIGSTOP);
    if (result == 0)
        member->hold = PI_KILL_STOPPED;
    else
        member->os_errno = -result;
}

static bool are_held(pi_kill_tree *tree, bool look_closer) {
    bool held = true;
    for (size_t i = 0; i < tree->member_count; i++) {
        pi_kill_member *member = &tree->members[i];
        if (member->has_ended)
            continue;
        hold_member(tree, member);
        if (look_closer && member->hold == PI_KILL_SEIZED && member->running_threads != 0)
            pi_kill_count_running(tree, member);
        if (!pi_kill_is_held(tree, member))
            held = false;
    }
    return held;
}

static bool look_again(pi_kill_tree *tree) {
    return (tree->has_reaper && pi_kill_look_for_orphans(tree)) || pi_kill_look_again(tree);
}

/* Until all members stand, or have ended, and nothing is new. What can't be brought to stand in
 * time is killed as it is. */
static void hold(pi_kill_tree *tree) {
    uint64_t until = raw_now_ns() + hold_limit_ns;
    tree->phase = PI_KILL_HOLDING;
    tree->has_begun = true;
    bool had_news = true;
    pi_kill_adopt(tree);
    while (raw_now_ns() < until && !pi_helper_must_stop(tree->helper)) {
        if (tree->has_reaper)
            pi_kill_look_for_orphans(tree);
        bool held = are_held(tree, !had_news);
        if (held && !pi_kill_wait(tree, 0)) {
            if (tree->events >= 0 || !look_again(tree))
                return;
        } else {
            had_news = pi_kill_wait(tree, STEP_NS / 5);
        }
    }
}

/* Members without a descriptor, and those whose threads wait for another tracer, end unheard. */
static void look_for_ended(pi_kill_tree *tree) {
    for (size_t i = 0; i < tree->member_count; i++)
        if (!tree->members[i].has_ended && pi_kill_has_ended(tree, tree->members[i].pid))
            pi_kill_mark_ended(tree, &tree->members[i]);
}

static size_t count_later(const pi_kill_tree *tree) {
    size_t count = 0;
    for (size_t i = 0; i < tree->member_count; i++)
        if (!tree->members[i].has_ended && (tree->members[i].is_last || tree->members[i].is_reaper))
            count++;
    return count;
}

/* Kills all but those who come later, and waits for their ends; true when none is left. */
static bool kill_now(pi_kill_tree *tree, uint64_t until) {
    for (size_t i = 0; i < tree->member_count; i++)
        pi_kill_kill_member(tree, &tree->members[i]);
    uint64_t step = STEP_NS;
    for (uint64_t now; (now = raw_now_ns()) < until;) {
        size_t later = count_later(tree);
        if (tree->ended_count + later >= tree->member_count) {
            if (!pi_kill_wait(tree, 0) && !(later != 0 && look_again(tree)))
                return true;
        } else if (!pi_kill_wait(tree, until - now < step ? until - now : step)) {
            look_for_ended(tree);
            step *= 2;
        }
    }
    return false;
}

/* The host's members go when all others have, or time is up; then nobody is there to be answered.
 */
static void kill_all(pi_kill_tree *tree) {
    uint64_t until = raw_now_ns() + tree->limit_ns;
    tree->phase = PI_KILL_KILLING;
    /* The last part is for the reaper, whose end takes a moment, too. */
    if (!kill_now(tree, until - tree->limit_ns / 4) && pi_kill_wait(tree, 0))
        tree->is_exact = false; /* it goes on forking, faster than we hear */
    for (size_t i = 0; i < tree->member_count; i++)
        tree->members[i].is_reaper = false;
    kill_now(tree, until);
    if (!tree->include_host)
        return;
    for (size_t i = 0; i < tree->member_count; i++)
        tree->members[i].is_last = false;
    kill_now(tree, raw_now_ns() + tree->limit_ns);
}

void pi_kill_job(pi_helper *helper, void *argument) {
    pi_kill_tree *tree = argument;
    tree->helper = helper;
    tree->own_pid = (int32_t)raw_call(SYS_getpid, 0, 0, 0, 0);
    raise_descriptor_limit();
    pi_kill_open_events(tree);
    if (!read_and_check(tree) || tree->only_check)
        return;
    if (tree->grace_ns != 0) {
        pi_kill_prepare_escaped(tree);
        ask_to_end(tree);
    }
    if (is_left(tree) && !pi_helper_must_stop(helper))
        hold(tree);
    if (is_left(tree) && pi_helper_must_stop(helper)) {
        refuse(tree, PI_KILL_CANCELLED, tree->root_pid, 0);
        pi_kill_let_go(tree);
        return;
    }
    if (is_left(tree)) {
        pi_kill_prepare_escaped(tree);
        kill_all(tree);
    }
    pi_kill_find_escaped(tree);
    pi_kill_close_events(tree);
}
