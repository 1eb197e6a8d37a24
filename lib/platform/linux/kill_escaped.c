/* SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "platform/linux/kill_tree.h"

/*
 * Orphans that share their session with a member and are no older than the tree: daemons of the
 * tree's, most likely, but nothing proves it. They are told of, and never touched.
 */

enum { LONGEST_ANCESTRY = 4096 };

static const pi_kill_process *find_process(const pi_kill_tree *tree, int32_t pid) {
    for (size_t i = 0; i < tree->process_count; i++)
        if (tree->processes[i].pid == pid)
            return &tree->processes[i];
    return NULL;
}

/* Whether orphans of the tree may have come to this process: init, or an ancestor beyond the root's
 * own parent, whose other children are mostly its own. */
static bool may_reap(const pi_kill_tree *tree, int32_t pid) {
    if (pid == 1)
        return true;
    const pi_kill_process *each = find_process(tree, tree->members[0].parent_pid);
    for (int steps = 0; each != NULL && steps < LONGEST_ANCESTRY; steps++) {
        each = find_process(tree, each->parent_pid);
        if (each != NULL && each->pid == pid)
            return true;
    }
    return false;
}

static bool shares_session(const pi_kill_tree *tree, int32_t session) {
    for (size_t i = 0; i < tree->member_count; i++)
        if (tree->members[i].session_id == session && tree->members[i].was_there)
            return true;
    return false;
}

static bool is_known(const pi_kill_tree *tree, const pi_kill_process *process) {
    int32_t place = pi_kill_index_find(&tree->members_by_pid, process->pid);
    return (place >= 0 && tree->members[place].start_ticks == process->start_ticks) ||
           process->pid == tree->host_pid || process->pid == tree->own_pid ||
           process->parent_pid == tree->host_pid;
}

void pi_kill_find_escaped(pi_kill_tree *tree) {
    if (pi_kill_read_all(tree) != 0)
        return;
    for (size_t i = 0; i < tree->process_count; i++) {
        const pi_kill_process *process = &tree->processes[i];
        if (tree->escaped_count == PI_KILL_MAX_ESCAPED)
            return;
        if (process->start_ticks >= tree->root_start_ticks && process->state != 'Z' &&
            process->session_id != 0 && !is_known(tree, process) &&
            shares_session(tree, process->session_id) && may_reap(tree, process->parent_pid))
            tree->escaped[tree->escaped_count++] = *process;
    }
}
