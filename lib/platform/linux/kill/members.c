/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>

#include "platform/linux/kill/tree.h"
#include "platform/linux/trace/helper_system_call.h"

/* Who is a member, and what is done with one that is found. */

pi_kill_member *pi_kill_find_member(pi_kill_tree *tree, int32_t pid) {
    int32_t place = pi_kill_index_find(&tree->members_by_pid, pid);
    return place < 0 ? NULL : &tree->members[place];
}

pi_kill_member *pi_kill_live_member(pi_kill_tree *tree, uint32_t i) {
    return i < tree->live_count ? &tree->members[tree->live[i]] : NULL;
}

static void add_to_live(pi_kill_tree *tree, pi_kill_member *member) {
    member->live_place = tree->live_count;
    tree->live[tree->live_count++] = (uint32_t)(member - tree->members);
}

static void remove_from_live(pi_kill_tree *tree, const pi_kill_member *member) {
    uint32_t last = tree->live[--tree->live_count];
    tree->live[member->live_place] = last;
    tree->members[last].live_place = member->live_place;
}

/* That it is the process that was found or heard of, and not a later owner of its number. When a
 * fork was heard of the number was free until then: whoever has it, and started no later, is it. */
static bool is_same(const pi_kill_member *member, const pi_kill_process *process) {
    return member->start_ticks != 0 ? process->start_ticks == member->start_ticks
                                    : process->start_ticks <= member->latest_start_ticks;
}

/* Until a process has been waited for nobody else can have its number. Of one that neither a
 * descriptor nor tracing holds its start tells whether that has been. */
static bool keeps_its_number(pi_kill_tree *tree, pi_kill_member *member) {
    pi_kill_process owner;
    if (!member->is_tied || member->has_ended)
        return false;
    if (member->pidfd >= 0 || pi_kill_keeps_number(tree, member))
        return pi_kill_send(tree, member, 0) != -ESRCH;
    int result = pi_kill_read_process(tree, member->pid, &owner);
    return result == 0 ? is_same(member, &owner) : result != -ENOENT && result != -ESRCH;
}

/* Those that came and went unseen would fill the table where forking never pauses. */
static bool is_spent(const pi_kill_tree *tree, const pi_kill_member *member) {
    return member->has_ended && !member->was_signalled && member != &tree->members[0];
}

void pi_kill_mark_ended(pi_kill_tree *tree, pi_kill_member *member) {
    if (member->has_ended)
        return;
    member->has_ended = true;
    tree->spent_count += is_spent(tree, member);
    remove_from_live(tree, member);
    tree->heard_news = true;
    if (member->pidfd >= 0)
        raw_close(member->pidfd);
    member->pidfd = -1;
    if (member->is_reaper)
        pi_kill_lose_reaper(tree);
}

static void fill_member(pi_kill_member *member, const pi_kill_process *process) {
    member->session_id = process->session_id;
    member->start_ticks = process->start_ticks;
    for (size_t i = 0; i < sizeof member->name; i++)
        member->name[i] = process->name[i];
}

/* The record of such a one, where the table is full; NULL for none. */
static pi_kill_member *find_spent(pi_kill_tree *tree) {
    if (tree->spent_count == 0)
        return NULL;
    for (;;) {
        pi_kill_member *member = &tree->members[tree->spent_place];
        tree->spent_place = (tree->spent_place + 1) % PI_KILL_MAX_MEMBERS;
        if (is_spent(tree, member))
            return member;
    }
}

/* A new record; `old` is one that may be used again, or NULL. */
static pi_kill_member *add_member(pi_kill_tree *tree, const pi_kill_process *process,
                                  pi_kill_member *old) {
    pi_kill_member *member = old;
    if (member == NULL && tree->member_count == PI_KILL_MAX_MEMBERS)
        member = find_spent(tree);
    if (member != NULL) {
        tree->spent_count--;
        if (pi_kill_find_member(tree, member->pid) == member) /* no later one has its number */
            pi_kill_index_remove(&tree->members_by_pid, member->pid);
    } else if (tree->member_count < PI_KILL_MAX_MEMBERS) {
        member = &tree->members[tree->member_count++];
    } else {
        tree->is_full = true;
        tree->is_exact = false;
        return NULL;
    }
    pi_kill_index_set(&tree->members_by_pid, process->pid, (int32_t)(member - tree->members));
    *member = (pi_kill_member){.pid = process->pid,
                               .parent_pid = process->parent_pid,
                               .latest_start_ticks = process->start_ticks,
                               .pidfd = -1};
    fill_member(member, process);
    add_to_live(tree, member);
    tree->heard_news = true;
    return member;
}

/* 0; -ESRCH where it has ended; another negative errno where that can't be told. */
static int look_at(pi_kill_tree *tree, pi_kill_member *member) {
    pi_kill_process process;
    int result = pi_kill_read_process(tree, member->pid, &process);
    if (result != 0)
        return result == -ENOENT ? -ESRCH : result;
    if (!is_same(member, &process) ||
        (process.state == 'Z' && pi_kill_has_ended(tree, member->pid)))
        return -ESRCH;
    fill_member(member, &process);
    return 0;
}

static int open_pidfd(const pi_kill_tree *tree, int32_t pid) {
    int pidfd = (int)raw_call(SYS_pidfd_open, pid, 0, 0, 0);
    if (pidfd == -EINVAL) /* a thread's number by now */
        return -ESRCH;
    if (pidfd < tree->pidfd_limit)
        return pidfd;
    raw_close(pidfd);
    return -EMFILE;
}

static bool is_allowed(const pi_kill_tree *tree, const pi_kill_member *member) {
    uint32_t owner;
    return tree->user_id == UINT64_MAX || pi_kill_read_owner(tree, member->pid, &owner) != 0 ||
           owner == tree->user_id;
}

int pi_kill_tie(pi_kill_tree *tree, pi_kill_member *member) {
    if (member->is_tied)
        return 0;
    member->is_tied = true;
    int pidfd = open_pidfd(tree, member->pid);
    int result = pidfd == -ESRCH ? -ESRCH : look_at(tree, member);
    if (result == 0 && pidfd < 0)
        result = pidfd; /* it is there, and can be signalled only while we trace it */
    if (result != 0 && pidfd >= 0)
        raw_close(pidfd);
    if (result == -ESRCH) {
        pi_kill_mark_ended(tree, member);
        return 0;
    }
    member->os_errno = -result;
    member->pidfd = result == 0 ? pidfd : -1;
    member->was_there = true;
    member->is_last = member->pid == tree->host_pid;
    member->is_other_users = !is_allowed(tree, member);
    pi_kill_watch_member(tree, member);
    return result;
}

/* Before members are held there is no hurry: the tree keeps changing, and what has only been heard
 * of is looked at then. From then on it counts: who forks and ends at once is seized before it is
 * looked at, and let go of should it be another. */
static void treat_found(pi_kill_tree *tree, pi_kill_member *member) {
    if (tree->phase == PI_KILL_LOOKING)
        return;
    int32_t pid = member->pid;
    bool was_seized = pi_kill_seize_unseen(tree, member);
    pi_kill_tie(tree, member);
    /* A dead one that we haven't heard of leaves others, unless it was seized with its parent and
     * we have yet to wait for it: so are they. */
    if (member->has_ended && !was_seized &&
        pi_kill_read_status(tree, pid, "TracerPid") != tree->own_pid)
        tree->found_untraced = true;
    if (member->has_ended || member->is_other_users) {
        if (was_seized)
            pi_kill_disown(tree, pid);
        return;
    }
    if (tree->phase == PI_KILL_KILLING)
        pi_kill_kill_member(tree, member);
    else
        pi_kill_seize(tree, member);
}

pi_kill_member *pi_kill_note_seized(pi_kill_tree *tree, int32_t pid) {
    pi_kill_member *member = pi_kill_find_member(tree, pid);
    pi_kill_process process;
    if (member != NULL && member->is_tied && !keeps_its_number(tree, member))
        pi_kill_mark_ended(tree, member);
    if (member != NULL && !member->has_ended)
        return member;
    if (pi_kill_read_process(tree, pid, &process) != 0)
        return NULL;
    member = add_member(tree, &process, NULL);
    if (member == NULL)
        return NULL;
    member->hold = PI_KILL_SEIZED;
    member->is_whole = true; /* with all that its first thread makes */
    pi_kill_tie(tree, member);
    return member;
}

static void keep_fork(pi_kill_tree *tree, const pi_kill_fork *fork) {
    if (tree->fork_count == PI_KILL_MAX_FORKS)
        pi_kill_lose_events(tree);
    else
        tree->forks[tree->fork_count++] = *fork;
}

/* A member, and not a stranger who had its number before. */
static bool is_member_fork(pi_kill_tree *tree, const pi_kill_fork *fork) {
    const pi_kill_member *parent = pi_kill_find_member(tree, fork->parent_pid);
    return parent != NULL && parent->start_ticks <= fork->at_ticks;
}

void pi_kill_note_fork(pi_kill_tree *tree, const pi_kill_fork *fork) {
    if (!tree->is_read) {
        keep_fork(tree, fork);
        return;
    }
    pi_kill_member *known = pi_kill_find_member(tree, fork->child_pid);
    if (known != NULL && keeps_its_number(tree, known))
        return;
    /* The number has another owner from here on. */
    pi_kill_index_remove(&tree->members_by_pid, fork->child_pid);
    if (known != NULL) {
        known->is_tied = true;
        pi_kill_mark_ended(tree, known);
    }
    if (fork->child_pid == tree->own_pid || !is_member_fork(tree, fork))
        return;
    pi_kill_process process = {.pid = fork->child_pid, .parent_pid = fork->parent_pid};
    pi_kill_member *member =
        add_member(tree, &process, known != NULL && is_spent(tree, known) ? known : NULL);
    if (member == NULL)
        return;
    member->latest_start_ticks = fork->at_ticks;
    treat_found(tree, member);
}

/* Once the tree has been read a member may have ended, and a stranger have got its number, since
 * the children were read: one that still keeps its number kept it all the time. */
static bool is_child_of_member(pi_kill_tree *tree, const pi_kill_process *process) {
    pi_kill_member *parent = pi_kill_find_member(tree, process->parent_pid);
    return parent != NULL && !parent->has_ended && process->pid != tree->own_pid &&
           process->start_ticks >= parent->start_ticks &&
           (!tree->is_read || keeps_its_number(tree, parent));
}

void pi_kill_note_process(pi_kill_tree *tree, const pi_kill_process *process) {
    const pi_kill_member *known = pi_kill_find_member(tree, process->pid);
    if (known != NULL && (!known->has_ended || known->start_ticks == process->start_ticks))
        return;
    if (!is_child_of_member(tree, process))
        return;
    pi_kill_member *member = add_member(tree, process, NULL);
    if (member != NULL && tree->is_read)
        treat_found(tree, member);
}

/* Adds those of tree->processes whose parent is a member; true where there was one. */
static bool add_children(pi_kill_tree *tree) {
    size_t before = tree->member_count;
    for (size_t i = 0; i < tree->process_count; i++)
        pi_kill_note_process(tree, &tree->processes[i]);
    return tree->member_count != before;
}

bool pi_kill_look_again(pi_kill_tree *tree) {
    size_t before = tree->member_count;
    if (pi_kill_read_all(tree) != 0)
        return false;
    while (add_children(tree))
        ;
    return tree->member_count != before;
}

static bool add_root(pi_kill_tree *tree) {
    for (size_t i = 0; i < tree->process_count; i++)
        if (tree->processes[i].pid == tree->root_pid &&
            tree->processes[i].start_ticks == tree->root_start_ticks) {
            tree->refused_pid = tree->root_pid;
            if (tree->root_pid == 1)
                tree->refusal = PI_KILL_INIT;
            else if (tree->processes[i].is_kernel_thread)
                tree->refusal = PI_KILL_KERNEL_THREAD;
            else
                add_member(tree, &tree->processes[i], NULL);
            return tree->refusal == PI_KILL_ACCEPTED;
        }
    tree->refusal = PI_KILL_ROOT_GONE;
    return false;
}

/* Of an attempt before this one. Only who isn't there any more, or is another by now, has ended:
 * the walk over /proc may have missed one. */
static bool is_gone(const pi_kill_tree *tree, pi_kill_member *member) {
    pi_kill_process process;
    int result = pi_kill_read_process(tree, member->pid, &process);
    if (result != 0)
        return result == -ENOENT || result == -ESRCH;
    if (!is_same(member, &process))
        return true;
    fill_member(member, &process);
    return false;
}

/* Those of an attempt before this one, who may no longer be below the root. What they forked and
 * left between the two was heard by nobody, unless it came to the host. */
static void take_over(pi_kill_tree *tree) {
    tree->is_exact = tree->is_exact && tree->host_is_reaper;
    for (size_t i = 0; i < tree->member_count; i++) {
        pi_kill_member *member = &tree->members[i];
        member->has_ended = member->is_tied = member->has_ended || is_gone(tree, member);
        tree->spent_count += is_spent(tree, member);
        if (!member->has_ended || pi_kill_find_member(tree, member->pid) == NULL)
            pi_kill_index_set(&tree->members_by_pid, member->pid, (int32_t)i);
        if (member->has_ended)
            continue;
        member->was_signalled = false;
        add_to_live(tree, member);
    }
}

int pi_kill_read_tree(pi_kill_tree *tree) {
    int result = pi_kill_read_all(tree);
    if (result != 0)
        return result;
    if (tree->member_count != 0)
        take_over(tree);
    else if (!add_root(tree))
        return 0;
    while (add_children(tree))
        ;
    pi_kill_read_events(tree);
    tree->read_at_ns = raw_now_ns();
    for (size_t i = 0; i < tree->member_count; i++) {
        result = pi_kill_tie(tree, &tree->members[i]);
        if (result != 0 && !tree->has_begun) /* what has is brought to its end */
            return result;
    }
    tree->is_read = true;
    for (size_t i = 0; i < tree->fork_count; i++)
        pi_kill_note_fork(tree, &tree->forks[i]);
    return 0;
}
