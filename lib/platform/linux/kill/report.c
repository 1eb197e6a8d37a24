/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "platform/linux/kill/report.h"

/* What the host says of a tree: why it was refused, or what became of each member. */

static const char *name_of(const pi_kill_tree *tree, int32_t pid, char buffer[64]) {
    for (size_t i = 0; i < tree->member_count; i++)
        if (tree->members[i].pid == pid) {
            pi_utf8_repair_into(buffer, 64, tree->members[i].name, strlen(tree->members[i].name));
            return buffer;
        }
    return "unknown";
}

/* Users may signal their own processes, and root all: something else refused. */
static bool is_refused_by_filter(const pi_kill_tree *tree) {
    uint32_t owner;
    return tree->os_errno == ENOSYS || geteuid() == 0 ||
           (pi_kill_read_owner(tree, tree->refused_pid, &owner) == 0 && owner == geteuid());
}

static int32_t not_permitted(const pi_kill_tree *tree, procinspect_error *error) {
    char name[64];
    if (is_refused_by_filter(tree))
        return pi_error_set(
            error, PROCINSPECT_ERROR_PERMISSION, tree->os_errno,
            "The kernel doesn't let the host signal the process %d (%s), which is in the tree of "
            "%d, although its user may: a seccomp filter, as in a container, forbids "
            "pidfd_send_signal, a security module refuses, or CAP_KILL is missing. Allow it there. "
            "Nothing was stopped.",
            (int)tree->refused_pid, name_of(tree, tree->refused_pid, name), (int)tree->root_pid);
    return pi_error_set(
        error, PROCINSPECT_ERROR_PERMISSION, EPERM,
        "The kernel doesn't let this user signal the process %d (%s), which is in the "
        "tree of %d: it belongs to another user. Run as that user or as root, or grant "
        "CAP_KILL. Nothing was stopped.",
        (int)tree->refused_pid, name_of(tree, tree->refused_pid, name), (int)tree->root_pid);
}

static int32_t system_call_failed(const pi_kill_tree *tree, procinspect_error *error) {
    int32_t code = pi_error_code_of_errno(tree->os_errno);
    if (code == PROCINSPECT_ERROR_NO_MEMORY)
        return pi_error_no_memory(error);
    if (tree->os_errno == ENOSYS)
        return pi_error_set(error, PROCINSPECT_ERROR_UNSUPPORTED, ENOSYS,
                            "This kernel has no pidfds, without which a number could hit the wrong "
                            "process; Linux 5.9 or later is needed.");
    return pi_error_set(
        error, code, tree->os_errno,
        "Reading the tree of %d failed: %s. Every member takes a descriptor: raise the "
        "hard limit RLIMIT_NOFILE where there are too few.%s",
        (int)tree->root_pid, strerrordesc_np(tree->os_errno),
        tree->has_begun ? "" : " Nothing was stopped.");
}

int32_t pi_kill_refused(const pi_process *process, const pi_kill_tree *tree,
                        procinspect_error *error) {
    char name[64];
    int root = (int)tree->root_pid, pid = (int)tree->refused_pid;
    switch (tree->refusal) {
    case PI_KILL_INIT:
        return pi_error_set(
            error, PROCINSPECT_ERROR_PERMISSION, 0,
            "Process 1 is the init of this system or container, and everything is in "
            "its tree; shut the system down or stop the container instead.");
    case PI_KILL_KERNEL_THREAD:
        return pi_error_set(error, PROCINSPECT_ERROR_PERMISSION, 0,
                            "The process %d is a thread of the kernel and can't be ended; what it "
                            "works for can be: a device, a file system, a kernel module.",
                            root);
    case PI_KILL_HOLDS_HOST:
        return pi_error_set(
            error, PROCINSPECT_ERROR_PERMISSION, 0,
            "The tree of %d holds this host process, %d; end a smaller tree, or ask "
            "for the host's own process, 0. Nothing was stopped.",
            root, pid);
    case PI_KILL_NOT_PERMITTED:
        return not_permitted(tree, error);
    case PI_KILL_OTHER_USER:
        return pi_error_set(
            error, PROCINSPECT_ERROR_POLICY, 0,
            "The process %d (%s) in the tree of %d belongs to the user %u, and the "
            "host allows its own user's processes only; set user_scope to all users "
            "where that is meant. Nothing was stopped.",
            pid, name_of(tree, pid, name), root, (unsigned)tree->refused_user_id);
    case PI_KILL_TOO_MANY:
        return pi_error_set(error, PROCINSPECT_ERROR_TOO_LARGE, 0,
                            "The tree of %d has more than %d members, or the system more than %d "
                            "processes; end smaller trees of it first.",
                            root, PI_KILL_MAX_MEMBERS, PI_KILL_MAX_PROCESSES);
    case PI_KILL_NOT_BEGUN:
    case PI_KILL_CANCELLED:
        return pi_error_set(
            error, PROCINSPECT_ERROR_CANCELLED, 0,
            "Ending the tree of %d was cancelled; its members run on, those excepted "
            "that ended when they were asked to.",
            root);
    case PI_KILL_ROOT_GONE:
        return pi_process_failed(process, "stat", ESRCH, error);
    default:
        return system_call_failed(tree, error);
    }
}

static uint32_t outcome_of(const pi_kill_tree *tree, const pi_kill_member *member) {
    if (member->has_ended)
        return member->was_there ? PROCINSPECT_KILL_ENDED : PROCINSPECT_KILL_ALREADY_GONE;
    if (tree->only_check)
        return PROCINSPECT_KILL_NOT_TRIED;
    return member->was_signalled ? PROCINSPECT_KILL_SURVIVED : PROCINSPECT_KILL_REFUSED;
}

static bool is_awake(pi_kill_tree *tree, int32_t pid, int32_t tid) {
    return pi_kill_thread_state(tree, pid, tid) != 'D';
}

static const char *why_survived(pi_kill_tree *tree, const pi_kill_member *member) {
    if (pi_kill_has_ended(tree, member->pid))
        return "SIGKILL was sent, and it ended after the time limit; nothing is left to be done.";
    if (!pi_kill_each_thread(tree, member->pid, is_awake))
        return "SIGKILL was sent, and it hasn't ended yet: it waits in the kernel for a device or "
               "a file system (state D), for memory, or in a frozen cgroup; it ends when that "
               "answers, or is thawed.";
    return "SIGKILL was sent, and it was still ending when the time limit passed: the machine is "
           "busy, or much memory has to be freed; look again, or allow more time (timeout_ms).";
}

static const char *text_of(pi_arena *arena, pi_kill_tree *tree, const pi_kill_member *member,
                           uint32_t outcome) {
    char text[256];
    if (outcome == PROCINSPECT_KILL_SURVIVED)
        snprintf(text, sizeof text, "%s", why_survived(tree, member));
    else if (outcome == PROCINSPECT_KILL_REFUSED && member->is_other_users)
        snprintf(text, sizeof text,
                 "It belongs to another user, and the host allows its own user's processes only; "
                 "set user_scope to all users where that is meant.");
    else if (outcome == PROCINSPECT_KILL_REFUSED)
        snprintf(text, sizeof text, "It could not be signalled: %s. %s",
                 strerrordesc_np(member->os_errno),
                 member->os_errno == EPERM
                     ? "It became another user's after the check; run as root or grant CAP_KILL."
                     : "Every member takes a descriptor: raise the hard limit RLIMIT_NOFILE.");
    else
        return NULL;
    return pi_arena_copy(arena, text, strlen(text));
}

static bool fill_item(pi_arena *arena, procinspect_kill_item *item, pi_kill_tree *tree,
                      const pi_kill_member *member) {
    uint32_t outcome = outcome_of(tree, member);
    item->pid = member->pid;
    item->parent_pid = member->parent_pid;
    item->outcome = outcome;
    item->name = pi_utf8_repair(arena, member->name, strlen(member->name));
    item->text = text_of(arena, tree, member, outcome);
    bool needs_text = outcome == PROCINSPECT_KILL_SURVIVED || outcome == PROCINSPECT_KILL_REFUSED;
    return item->name != NULL && (!needs_text || item->text != NULL);
}

/* What it shares with the tree, and what to do about it. */
static const char *escaped_text(pi_arena *arena, const pi_kill_tree *tree,
                                const pi_kill_escaped *escaped) {
    char cgroup[PI_KILL_CGROUP_CAPACITY + 16] = "", session[32] = "";
    char text[sizeof cgroup + 512], repaired[3 * sizeof text];
    if (escaped->shares_session)
        snprintf(session, sizeof session, "session %d", (int)escaped->process.session_id);
    if (escaped->cgroup >= 0)
        snprintf(cgroup, sizeof cgroup, "cgroup %s",
                 pi_kill_cgroup_path(tree->cgroups[escaped->cgroup].line));
    snprintf(text, sizeof text,
             "It shares the %s%s%s with the tree and is no older, and its parent is %d, which is "
             "given the children of those that end: it may have been of the tree before that was "
             "read. Look at it, and end it by its own id, %d, where that is so.",
             session, session[0] != '\0' && cgroup[0] != '\0' ? " and the " : "", cgroup,
             (int)escaped->process.parent_pid, (int)escaped->process.pid);
    pi_utf8_repair_into(repaired, sizeof repaired, text, strlen(text));
    return pi_arena_copy(arena, repaired, strlen(repaired));
}

static bool fill_escaped(pi_arena *arena, procinspect_kill_item *item, const pi_kill_tree *tree,
                         const pi_kill_escaped *escaped) {
    const pi_kill_process *process = &escaped->process;
    item->pid = process->pid;
    item->parent_pid = process->parent_pid;
    item->outcome = PROCINSPECT_KILL_ESCAPED;
    item->name = pi_utf8_repair(arena, process->name, strlen(process->name));
    item->text = escaped_text(arena, tree, escaped);
    return item->name != NULL && item->text != NULL;
}

static void count_outcome(procinspect_kill_report *report, uint32_t outcome) {
    report->ended_count += outcome == PROCINSPECT_KILL_ENDED;
    report->already_gone_count += outcome == PROCINSPECT_KILL_ALREADY_GONE;
    report->refused_count += outcome == PROCINSPECT_KILL_REFUSED;
    report->survived_count += outcome == PROCINSPECT_KILL_SURVIVED;
    report->escaped_count += outcome == PROCINSPECT_KILL_ESCAPED;
}

int32_t pi_kill_fill_report(pi_kill_tree *tree, pi_arena *arena, procinspect_kill_report *report,
                            procinspect_error *error) {
    size_t count = tree->member_count + tree->escaped_count;
    procinspect_kill_item *items = pi_arena_alloc_array(arena, count, sizeof *items);
    const procinspect_kill_item **pointers = pi_arena_alloc_array(arena, count, sizeof *pointers);
    procinspect_kill_report filled = {
        .pid = tree->root_pid, .is_exact = tree->is_exact, .read_at_ns = tree->read_at_ns};
    bool complete = items != NULL && pointers != NULL;
    for (size_t i = 0; complete && i < count; i++) {
        pointers[i] = &items[i];
        if (i < tree->member_count)
            complete = fill_item(arena, &items[i], tree, &tree->members[i]);
        else
            complete = fill_escaped(arena, &items[i], tree, &tree->escaped[i - tree->member_count]);
        count_outcome(&filled, items[i].outcome);
    }
    if (!complete)
        return pi_error_no_memory(error);
    filled.items = pointers;
    filled.count = count;
    *report = filled;
    return PROCINSPECT_OK;
}
