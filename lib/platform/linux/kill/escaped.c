/* SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "platform/linux/kill/tree.h"

/*
 * Orphans that share session or cgroup with a member and are no older than the tree: daemons of the
 * tree's, most likely, but nothing proves it. They are told of, and never touched.
 *
 * A cgroup that the host or an ancestor of the root is in, too, is not the tree's own but that of a
 * login, a container or the whole system, and tells nothing.
 */

static const pi_kill_process *find_process(const pi_kill_tree *tree, int32_t pid) {
    for (size_t i = 0; i < tree->process_count; i++)
        if (tree->processes[i].pid == pid)
            return &tree->processes[i];
    return NULL;
}

static void find_ancestors(pi_kill_tree *tree) {
    const pi_kill_process *each = find_process(tree, tree->members[0].parent_pid);
    tree->ancestor_count = 0;
    while (each != NULL && tree->ancestor_count < PI_KILL_MAX_ANCESTORS) {
        tree->ancestors[tree->ancestor_count++] = each->pid;
        each = find_process(tree, each->parent_pid);
    }
}

static void drop_common_cgroups(pi_kill_tree *tree) {
    pi_kill_drop_cgroups_of(tree, tree->host_pid);
    pi_kill_drop_cgroups_of(tree, 1);
    for (uint32_t i = 0; i < tree->ancestor_count; i++)
        pi_kill_drop_cgroups_of(tree, tree->ancestors[i]);
}

/* Init, or an ancestor of the root: who may have been given orphans of the tree. */
static bool is_above(const pi_kill_tree *tree, int32_t pid) {
    if (pid == 1)
        return true;
    for (uint32_t i = 0; i < tree->ancestor_count; i++)
        if (tree->ancestors[i] == pid)
            return true;
    return false;
}

static bool is_session_of_members(const pi_kill_tree *tree, int32_t session) {
    for (size_t i = 0; i < tree->member_count; i++)
        if (tree->members[i].session_id == session)
            return true;
    return false;
}

/* A session is inherited: who is in another than its parent was somebody else's child before. In
 * the parent's own session, a shell's, are mostly its own. */
static bool shares_session(const pi_kill_tree *tree, const pi_kill_process *process) {
    if (process->session_id == 0 || !is_session_of_members(tree, process->session_id))
        return false;
    const pi_kill_process *parent = find_process(tree, process->parent_pid);
    return parent == NULL || parent->session_id != process->session_id;
}

static bool is_known(const pi_kill_tree *tree, const pi_kill_process *process) {
    int32_t place = pi_kill_index_find(&tree->members_by_pid, process->pid);
    return (place >= 0 && tree->members[place].start_ticks == process->start_ticks) ||
           process->pid == tree->host_pid || process->pid == tree->own_pid ||
           is_above(tree, process->pid);
}

/* That it may be an orphan of the tree's. */
static bool is_candidate(const pi_kill_tree *tree, const pi_kill_process *process) {
    return process->start_ticks >= tree->root_start_ticks && process->state != 'Z' &&
           is_above(tree, process->parent_pid) && !is_known(tree, process);
}

void pi_kill_prepare_escaped(pi_kill_tree *tree) {
    find_ancestors(tree);
    for (size_t i = 0; i < tree->process_count; i++)
        if (is_candidate(tree, &tree->processes[i])) {
            pi_kill_note_cgroups(tree); /* a file for each member: not for nothing */
            return;
        }
}

static bool is_escaped(const pi_kill_tree *tree, const pi_kill_process *process,
                       pi_kill_escaped *escaped) {
    if (!is_candidate(tree, process))
        return false;
    escaped->process = *process;
    escaped->shares_session = shares_session(tree, process);
    escaped->cgroup = pi_kill_find_cgroup(tree, process->pid);
    return escaped->shares_session || escaped->cgroup >= 0;
}

void pi_kill_find_escaped(pi_kill_tree *tree) {
    if (pi_kill_read_all(tree) != 0)
        return;
    find_ancestors(tree);
    drop_common_cgroups(tree);
    for (size_t i = 0; i < tree->process_count && tree->escaped_count < PI_KILL_MAX_ESCAPED; i++)
        if (is_escaped(tree, &tree->processes[i], &tree->escaped[tree->escaped_count]))
            tree->escaped_count++;
}
