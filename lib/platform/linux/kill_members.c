/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>

#include "platform/linux/helper_system_call.h"
#include "platform/linux/kill_tree.h"

/* Who is a member, and what is done with one that is found. */

enum { TICKS_PER_SECOND = 100, TICK_SLACK = 2, ENDING_STEPS = 50, ENDING_STEP_NS = 200000 };

pi_kill_member *pi_kill_find_member(pi_kill_tree *tree, int32_t pid) {
    int32_t place = pi_kill_index_find(&tree->members_by_pid, pid);
    return place < 0 ? NULL : &tree->members[place];
}

/* Until a process has been waited for nobody else can have its number. */
static bool keeps_its_number(pi_kill_tree *tree, pi_kill_member *member) {
    return member->pidfd >= 0 && pi_kill_send(tree, member, 0) != -ESRCH;
}

/* A process goes to another parent when its own ends: a moment before that can be seen. */
static bool has_lost_parent(pi_kill_tree *tree, int32_t parent) {
    const pi_kill_member *member = pi_kill_find_member(tree, parent);
    if (member == NULL || member->has_ended)
        return true;
    for (int step = 0; step < ENDING_STEPS; step++) {
        struct timespec while_it_ends = {0, ENDING_STEP_NS};
        pi_kill_process process;
        if (pi_kill_has_ended(tree, parent))
            return true;
        if (pi_kill_read_process(tree, parent, &process) == 0 && !process.is_exiting)
            return false;
        raw_call(SYS_nanosleep, (long)&while_it_ends, 0, 0, 0);
    }
    return false;
}

static bool came_from(pi_kill_tree *tree, const pi_kill_process *process, int32_t parent) {
    return process->parent_pid == parent || has_lost_parent(tree, parent);
}

void pi_kill_mark_ended(pi_kill_tree *tree, pi_kill_member *member) {
    if (member->has_ended)
        return;
    member->has_ended = true;
    tree->ended_count++;
    tree->heard_news = true;
    if (member->pidfd >= 0)
        raw_close(member->pidfd);
    member->pidfd = -1;
}

static void fill_member(pi_kill_member *member, const pi_kill_process *process) {
    member->session_id = process->session_id;
    member->start_ticks = process->start_ticks;
    for (size_t i = 0; i < sizeof member->name; i++)
        member->name[i] = process->name[i];
}

/* A new record; `old` is one that may be used again, or NULL. */
static pi_kill_member *add_member(pi_kill_tree *tree, const pi_kill_process *process,
                                  pi_kill_member *old) {
    pi_kill_member *member = old != NULL ? old : &tree->members[tree->member_count];
    if (old != NULL) {
        tree->ended_count--;
    } else if (tree->member_count == PI_KILL_MAX_MEMBERS) {
        tree->is_full = true;
        return NULL;
    } else {
        tree->member_count++;
    }
    pi_kill_index_set(&tree->members_by_pid, process->pid, (int32_t)(member - tree->members));
    *member = (pi_kill_member){.pid = process->pid, .parent_pid = process->parent_pid, .pidfd = -1};
    fill_member(member, process);
    tree->heard_news = true;
    return member;
}

/* That it is the process that was found or heard of, and not a later owner of its number. */
static bool is_same(pi_kill_tree *tree, const pi_kill_member *member,
                    const pi_kill_process *process) {
    bool is_of_time = member->start_ticks != 0
                          ? process->start_ticks == member->start_ticks
                          : process->start_ticks + TICK_SLACK >= tree->walk_start_ticks;
    return is_of_time && came_from(tree, process, member->parent_pid);
}

static bool look_at(pi_kill_tree *tree, pi_kill_member *member) {
    pi_kill_process process;
    if (pi_kill_read_process(tree, member->pid, &process) != 0 ||
        !is_same(tree, member, &process) || pi_kill_has_ended(tree, member->pid))
        return false;
    fill_member(member, &process);
    return true;
}

int pi_kill_tie(pi_kill_tree *tree, pi_kill_member *member) {
    if (member->is_tied)
        return 0;
    member->is_tied = true;
    long pidfd = raw_call(SYS_pidfd_open, member->pid, 0, 0, 0);
    if (pidfd < 0 && pidfd != -ESRCH && pidfd != -EINVAL) {
        member->os_errno = (int)-pidfd;
        return (int)pidfd;
    }
    if (pidfd < 0 || !look_at(tree, member)) {
        if (pidfd >= 0)
            raw_close((int)pidfd);
        pi_kill_mark_ended(tree, member);
        return 0;
    }
    member->pidfd = (int)pidfd;
    member->was_there = true;
    member->is_last = member->pid == tree->host_pid;
    pi_kill_watch_member(tree, member);
    return 0;
}

/* Before members are held there is no hurry: the tree keeps changing, and what has only been heard
 * of is looked at then. */
static void treat_found(pi_kill_tree *tree, pi_kill_member *member) {
    if (tree->phase == PI_KILL_LOOKING)
        return;
    pi_kill_tie(tree, member);
    if (member->has_ended)
        return;
    if (tree->phase == PI_KILL_HOLDING)
        pi_kill_seize(tree, member);
    else
        pi_kill_kill_member(tree, member);
}

void pi_kill_note_seized(pi_kill_tree *tree, int32_t pid) {
    pi_kill_member *member = pi_kill_find_member(tree, pid);
    if (member != NULL && !member->has_ended)
        return;
    pi_kill_process process;
    if (pi_kill_read_process(tree, pid, &process) != 0)
        return;
    member = add_member(tree, &process, NULL);
    if (member == NULL)
        return;
    member->hold = PI_KILL_SEIZED;
    treat_found(tree, member);
}

static void keep_fork(pi_kill_tree *tree, int32_t parent, int32_t child) {
    if (tree->fork_count == PI_KILL_MAX_FORKS) {
        pi_kill_close_events(tree);
        tree->is_exact = false;
        return;
    }
    tree->forks[tree->fork_count++] = (pi_kill_fork){parent, child};
}

void pi_kill_note_fork(pi_kill_tree *tree, int32_t parent, int32_t child) {
    if (!tree->is_read) {
        keep_fork(tree, parent, child);
        return;
    }
    pi_kill_member *known = pi_kill_find_member(tree, child);
    if (known != NULL && keeps_its_number(tree, known))
        return;
    /* The number has another owner from here on. */
    pi_kill_index_remove(&tree->members_by_pid, child);
    if (child == tree->own_pid || pi_kill_find_member(tree, parent) == NULL)
        return;
    /* Those that came and went unseen would fill the table where forking never pauses. */
    bool is_spent =
        known != NULL && known->has_ended && !known->was_signalled && known->pid != tree->root_pid;
    pi_kill_process process = {.pid = child, .parent_pid = parent};
    pi_kill_member *member = add_member(tree, &process, is_spent ? known : NULL);
    if (member != NULL)
        treat_found(tree, member);
}

/* Adds those of tree->processes whose parent is a member; true where there was one. */
static bool add_children(pi_kill_tree *tree) {
    size_t before = tree->member_count;
    for (size_t i = 0; i < tree->process_count; i++) {
        const pi_kill_process *process = &tree->processes[i];
        const pi_kill_member *parent = pi_kill_find_member(tree, process->parent_pid);
        if (parent == NULL || parent->has_ended || process->pid == tree->own_pid ||
            process->start_ticks < parent->start_ticks)
            continue;
        const pi_kill_member *known = pi_kill_find_member(tree, process->pid);
        if (known != NULL && (!known->has_ended || known->start_ticks == process->start_ticks))
            continue;
        pi_kill_member *member = add_member(tree, process, NULL);
        if (member == NULL)
            return false;
        if (tree->is_read)
            treat_found(tree, member);
    }
    return tree->member_count != before;
}

bool pi_kill_look_again(pi_kill_tree *tree) {
    bool found = false;
    if (pi_kill_read_all(tree) != 0)
        return false;
    while (add_children(tree))
        found = true;
    return found;
}

static void note_child(pi_kill_tree *tree, int32_t parent, int32_t child) {
    if (pi_kill_find_member(tree, child) != NULL || child == tree->own_pid)
        return;
    pi_kill_process process = {.pid = child, .parent_pid = parent};
    pi_kill_member *member = add_member(tree, &process, NULL);
    if (member != NULL)
        treat_found(tree, member);
}

bool pi_kill_look_for_orphans(pi_kill_tree *tree) {
    size_t before = tree->member_count;
    pi_kill_each_child(tree, tree->root_pid, note_child);
    return tree->member_count != before;
}

static uint64_t now_ticks(void) {
    struct timespec now = {0, 0};
    raw_call(SYS_clock_gettime, CLOCK_BOOTTIME, (long)&now, 0, 0);
    return (uint64_t)now.tv_sec * TICKS_PER_SECOND +
           (uint64_t)now.tv_nsec / (1000000000 / TICKS_PER_SECOND);
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

int pi_kill_read_tree(pi_kill_tree *tree) {
    tree->walk_start_ticks = now_ticks();
    int result = pi_kill_read_all(tree);
    if (result != 0)
        return result;
    if (!add_root(tree))
        return 0;
    while (add_children(tree))
        ;
    pi_kill_read_events(tree);
    tree->read_at_ns = raw_now_ns();
    for (size_t i = 0; result == 0 && i < tree->member_count; i++)
        result = pi_kill_tie(tree, &tree->members[i]);
    if (result != 0)
        return result;
    tree->is_read = true;
    for (size_t i = 0; i < tree->fork_count; i++)
        pi_kill_note_fork(tree, tree->forks[i].parent_pid, tree->forks[i].child_pid);
    return 0;
}
