/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "platform/linux/kill/tree.h"
#include "platform/linux/trace/helper_system_call.h"

/* The course of ending a tree: read, check, ask, hold, kill, look for what escaped. */

enum {
    STEP_NS = 10000000,
    LOOK_INTERVAL_NS = 50000000,
    ENDED_INTERVAL_NS = 500000000,
    READING_DESCRIPTORS = 8
};

/* Members, or one that was seized with its parent and hasn't run yet to tell us. */
static bool is_left(const pi_kill_tree *tree) {
    return tree->live_count != 0 || tree->has_tracees;
}

/* Every member takes a descriptor. The limit is the helper's own; some are kept for reading,
 * because who can't be looked at can't be told from one that has ended. */
static void raise_descriptor_limit(pi_kill_tree *tree) {
    struct rlimit limit = {0, 0};
    tree->pidfd_limit = INT32_MAX;
    if (raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)&limit, 0);
    if (limit.rlim_max <= INT32_MAX)
        tree->pidfd_limit = (int)limit.rlim_max - READING_DESCRIPTORS;
}

/*
 * A tree may fork as fast as it gets processors. The kernel shares these out between sessions first
 * (sched_autogroup_enabled): in the tree's own, and beside a busy host in the host's, the helper
 * would get one part among thousands. A higher share is for the privileged only.
 */
static void get_ahead(const pi_kill_tree *tree) {
    static const char highest[] = "-20";
    if (!tree->helper->leads_session)
        return; /* a seccomp filter: the share would be the host's and all its session's */
    long autogroup = raw_open(tree->proc, "self/autogroup", O_WRONLY | O_CLOEXEC);
    if (autogroup < 0)
        return;
    raw_call(SYS_write, autogroup, (long)highest, sizeof highest - 1, 0);
    raw_close((int)autogroup);
}

/* Those that were the last may have forked before they ended, unheard so far: while the helper had
 * no processor, or in a grace's last moment. */
static bool is_left_or_unheard(pi_kill_tree *tree) {
    bool may_be_more = true;
    while (!is_left(tree) && may_be_more) {
        pi_kill_wait(tree, 0);
        may_be_more = tree->heard_news; /* and not others' forks, which may never pause */
    }
    return is_left(tree);
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
    if (tree->has_begun)
        return; /* an attempt before this one, which was accepted */
    if (member->is_other_users) {
        pi_kill_read_owner(tree, member->pid, &tree->refused_user_id);
        refuse(tree, PI_KILL_OTHER_USER, member->pid, 0);
        return;
    }
    int result = pi_kill_send(tree, member, 0);
    if (result == -EPERM || result == -ENOSYS)
        refuse(tree, PI_KILL_NOT_PERMITTED, member->pid, -result);
}

static bool read_and_check(pi_kill_tree *tree) {
    tree->refusal = PI_KILL_ACCEPTED;
    int result = pi_kill_open_wait(tree);
    if (result == 0)
        result = pi_kill_read_tree(tree);
    if (result != 0)
        refuse(tree, result == -E2BIG ? PI_KILL_TOO_MANY : PI_KILL_SYSTEM_CALL, tree->root_pid,
               -result);
    else if (tree->is_full && !tree->has_begun)
        refuse(tree, PI_KILL_TOO_MANY, tree->root_pid, 0);
    for (size_t i = 0; tree->refusal == PI_KILL_ACCEPTED && i < tree->member_count; i++)
        if (!tree->members[i].has_ended)
            check_member(tree, &tree->members[i]);
    return tree->refusal == PI_KILL_ACCEPTED;
}

/* Those, too, that were forked since the tree was read. SIGCONT: what is stopped hears no SIGTERM.
 */
static void send_term(pi_kill_tree *tree) {
    tree->has_begun = true;
    pi_kill_wait(tree, 0);
    for (size_t i = 0, asked = tree->member_count; i < asked; i++) {
        pi_kill_member *member = &tree->members[i];
        pi_kill_tie(tree, member);
        if (member->has_ended || member->is_last || member->is_other_users)
            continue;
        pi_kill_send(tree, member, SIGTERM);
        pi_kill_send(tree, member, SIGCONT);
    }
}

static void tie_live(pi_kill_tree *tree, uint32_t i) {
    pi_kill_member *member = pi_kill_live_member(tree, i);
    if (member != NULL)
        pi_kill_tie(tree, member);
}

/* The root ends early in this, mostly, and with it the reaper: where the kernel's events may fail
 * us the members are traced meanwhile. */
static void ask_to_end(pi_kill_tree *tree) {
    bool holds_host = pi_kill_find_member(tree, tree->host_pid) != NULL;
    uint64_t next_look = 0;
    if (!tree->events_are_sure)
        pi_kill_follow_all(tree);
    if (pi_helper_must_stop(tree->helper))
        return;
    tree->asked_at_ns = raw_now_ns();
    if (!tree->was_asked)
        send_term(tree);
    uint64_t until = tree->asked_at_ns + tree->grace_ns;
    for (;;) {
        uint64_t now = raw_now_ns();
        for (uint32_t i = tree->live_count; i-- > 0;)
            tie_live(tree, i);
        bool only_host = tree->live_count <= (holds_host ? 1 : 0);
        if (now >= until || pi_helper_must_stop(tree->helper))
            return;
        if (only_host && !pi_kill_wait(tree, 0) && (tree->live_count != 0 || !is_left(tree)))
            return; /* nor has any forked before it ended */
        if (tree->events < 0 && now >= next_look) {
            pi_kill_look_again(tree);
            next_look = raw_now_ns() + LOOK_INTERVAL_NS;
        }
        pi_kill_wait(tree, until - now < STEP_NS ? until - now : STEP_NS);
    }
}

/* Members without a descriptor, and those whose threads wait for another tracer, end unheard. */
static void look_for_ended(pi_kill_tree *tree) {
    for (uint32_t i = tree->live_count; i-- > 0;) {
        pi_kill_member *member = pi_kill_live_member(tree, i);
        if (member != NULL && pi_kill_has_ended(tree, member->pid))
            pi_kill_mark_ended(tree, member);
    }
}

/* Where orphans are with the reaper, and where a full table had no place for some. */
static bool is_look_due(const pi_kill_tree *tree) {
    return tree->has_reaper || tree->is_full;
}

/* Kills who hasn't been killed: how many are left, but for those whose turn it isn't, and who can't
 * be signalled. */
static uint32_t kill_left(pi_kill_tree *tree) {
    uint32_t left = 0;
    for (uint32_t i = tree->live_count; i-- > 0;) {
        pi_kill_member *member = pi_kill_live_member(tree, i);
        if (member == NULL)
            continue;
        pi_kill_kill_member(tree, member);
        left += !member->has_ended && member->was_signalled;
    }
    return left;
}

/* The reaper mustn't be in a fork when it is killed: nobody would find the child. */
static bool stands_reaper(pi_kill_tree *tree) {
    pi_kill_member *root = &tree->members[0];
    return !root->is_reaper || pi_kill_hold_member(tree, root);
}

/* Members whose turn it isn't, and who can't be signalled, are spared. With them gone, too, nobody
 * is left that we trace, unless it is one that hasn't run yet since it was forked. */
static bool is_done(pi_kill_tree *tree) {
    return stands_reaper(tree) && !(is_look_due(tree) && pi_kill_look_again(tree)) &&
           (tree->live_count != 0 || !is_left(tree));
}

/* Kills all but those who come later, and waits for their ends; true when none is left. */
static bool kill_now(pi_kill_tree *tree, uint64_t until) {
    for (size_t i = 0; i < tree->member_count; i++) /* parents first: they start no others */
        pi_kill_kill_member(tree, &tree->members[i]);
    uint64_t step = STEP_NS, next_look = raw_now_ns() + ENDED_INTERVAL_NS;
    for (uint64_t now; (now = raw_now_ns()) < until;) {
        if (kill_left(tree) == 0 && !pi_kill_wait(tree, 0) && is_done(tree))
            return true;
        bool has_news = pi_kill_wait(tree, until - now < step ? until - now : step);
        if (!has_news)
            step = step < 8 * STEP_NS ? 2 * step : step;
        if (!has_news || now >= next_look) { /* others' forks may be news all the time */
            look_for_ended(tree);
            next_look = raw_now_ns() + ENDED_INTERVAL_NS;
        }
    }
    look_for_ended(tree);
    return false;
}

/* The host's members go when all others have, or time is up; then nobody is there to be answered.
 */
static void kill_all(pi_kill_tree *tree) {
    uint64_t until = raw_now_ns() + tree->limit_ns;
    tree->phase = PI_KILL_KILLING;
    /* The last part is for the reaper, whose end takes a moment, too. */
    bool is_reaper_alone = kill_now(tree, until - tree->limit_ns / 4);
    if (!is_reaper_alone && pi_kill_wait(tree, 0))
        tree->is_exact = false; /* it goes on forking, faster than we hear */
    /* And stands: whatever events are lost from here on aren't missed. */
    tree->all_are_traced |= is_reaper_alone && tree->members[0].is_reaper;
    tree->members[0].is_reaper = false;
    tree->has_reaper = false;
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
    tree->end_by_ns = atomic_load(&helper->end_by_ns);
    tree->own_pid = (int32_t)raw_call(SYS_getpid, 0, 0, 0, 0);
    get_ahead(tree);
    raise_descriptor_limit(tree);
    pi_kill_open_events(tree);
    if (!read_and_check(tree) || tree->only_check)
        return;
    if (tree->grace_ns != 0) {
        pi_kill_prepare_escaped(tree);
        ask_to_end(tree);
    }
    if (is_left_or_unheard(tree) && !pi_helper_must_stop(helper))
        pi_kill_hold_all(tree);
    if (is_left_or_unheard(tree) && pi_helper_must_stop(helper)) {
        refuse(tree, PI_KILL_CANCELLED, tree->root_pid, 0);
        pi_kill_release_all(tree);
        return;
    }
    if (is_left(tree)) {
        pi_kill_prepare_escaped(tree);
        kill_all(tree);
    }
    tree->is_read = false; /* whoever is found from here on isn't touched */
    pi_kill_find_escaped(tree);
    pi_kill_close_events(tree);
}
