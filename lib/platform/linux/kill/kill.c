/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cancellation.h"
#include "base/error.h"
#include "base/text.h"
#include "platform/linux/kill/tree.h"
#include "platform/linux/linux.h"
#include "platform/linux/trace/host_tracer.h"

/* The host's side of ending a tree: asks the helper, and says what became of it. */

enum { NS_PER_MS = 1000000 };

/* For all but the grace and the ends: far more than reading and holding take. */
#define REST_LIMIT_NS UINT64_C(60000000000)

/* For taking back what a helper that was ended has made of the root. */
#define UNDO_LIMIT_NS UINT64_C(5000000000)

static uint64_t now_ns(void) {
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * NS_PER_MS + (uint64_t)now.tv_nsec;
}

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
        "hard limit RLIMIT_NOFILE where there are too few. Nothing was stopped.",
        (int)tree->root_pid, strerrordesc_np(tree->os_errno));
}

static int32_t refused(const pi_process *process, const pi_kill_tree *tree,
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

static int32_t fill_report(pi_kill_tree *tree, pi_arena *arena, procinspect_kill_report *report,
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

/* The helper was ended before it was done. What it traced runs again by itself; what it had stopped
 * by SIGSTOP doesn't. */
static void let_go(const pi_kill_tree *tree) {
    for (size_t i = 0; i < tree->member_count; i++) {
        const pi_kill_member *member = &tree->members[i];
        if (member->has_ended || member->hold != PI_KILL_STOPPED || member->had_stopped)
            continue;
        pi_kill_process now;
        int pidfd = (int)syscall(SYS_pidfd_open, member->pid, 0);
        if (pidfd >= 0 && pi_kill_read_process(tree, member->pid, &now) == 0 &&
            now.start_ticks == member->start_ticks)
            syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0);
        pi_close(pidfd);
    }
}

static pi_kill_tree *new_tree(const pi_process *process, const pi_kill_request *request) {
    pi_kill_tree *tree = mmap(NULL, sizeof *tree, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (tree == MAP_FAILED)
        return NULL;
    tree->root_pid = process->pid;
    tree->root_start_ticks = process->start_ticks;
    tree->host_pid = (int32_t)getpid();
    tree->proc = process->system->proc;
    tree->user_id = request->user_id;
    tree->grace_ns = (uint64_t)request->grace_ms * NS_PER_MS;
    tree->limit_ns = (uint64_t)request->timeout_ms * NS_PER_MS;
    tree->include_host = request->include_host;
    tree->only_check = request->only_check;
    return tree;
}

static void free_tree(pi_kill_tree *tree) {
    if (tree != NULL && !tree->is_kept)
        munmap(tree, sizeof *tree);
}

static bool ends_host(const pi_kill_tree *tree) {
    return tree->include_host && !tree->only_check;
}

static int32_t run_helper(const pi_kill_request *request, pi_kill_tree *tree,
                          procinspect_error *error) {
    pi_helper_job job = {.run = pi_kill_job,
                         .argument = tree,
                         .limit_ns = tree->grace_ns + 2 * tree->limit_ns + REST_LIMIT_NS,
                         .needs_own_descriptors = true, /* one for each member */
                         .descriptors = {tree->proc},
                         .descriptor_count = 1,
                         .may_trace_host = ends_host(tree),
                         .cancellation = request->cancellation};
    int32_t result = pi_helper_run(&job, error);
    tree->is_kept = job.keeps_memory;
    return result;
}

/* What the first attempt found: by SIGTERM, or of themselves, the root and others may have ended
 * since, and those that they left are in no tree any more. */
static void hand_down_members(pi_kill_tree *to, const pi_kill_tree *from) {
    for (size_t i = 0; i < from->member_count; i++) {
        const pi_kill_member *known = &from->members[i];
        if (known->pid == 0)
            continue; /* the helper was ended before it had filled it */
        pi_kill_member *member = &to->members[to->member_count++];
        *member = (pi_kill_member){.pid = known->pid,
                                   .parent_pid = known->parent_pid,
                                   .session_id = known->session_id,
                                   .pidfd = -1,
                                   .start_ticks = known->start_ticks,
                                   .latest_start_ticks = known->latest_start_ticks,
                                   .has_ended = known->has_ended,
                                   .was_signalled = known->was_signalled,
                                   .was_there = known->was_there};
        memcpy(member->name, known->name, sizeof member->name);
    }
}

/* Once more, without tracing: a member can be in the middle of an execve from a file system that
 * doesn't answer, which holds up who traces it, and nobody who kills it. */
static int32_t run_again(const pi_process *process, const pi_kill_request *request,
                         pi_kill_tree **tree, procinspect_error *error) {
    pi_kill_tree *before = *tree, *again = new_tree(process, request);
    let_go(before);
    if (again == NULL)
        return pi_error_no_memory(error);
    again->adopted_through = before->adopted_through;
    again->never_trace = true;
    again->host_is_reaper = before->host_is_reaper;
    if (before->asked_at_ns != 0)
        again->grace_ns = 0;
    hand_down_members(again, before);
    free_tree(before);
    *tree = again;
    return run_helper(request, again, error);
}

/* A helper that didn't come to that leaves the root the reaper of its orphans, whom it may not wait
 * for. Another one takes it back, if it can; a root that has ended needs nothing. */
static void undo_adoption(const pi_process *process, const pi_kill_request *request,
                          const pi_kill_tree *tree) {
    pi_kill_tree *again = tree->adopted_through != 0 ? new_tree(process, request) : NULL;
    if (again == NULL)
        return;
    again->adopted_through = tree->adopted_through;
    pi_helper_job job = {.run = pi_kill_undo_job,
                         .argument = again,
                         .limit_ns = UNDO_LIMIT_NS,
                         .needs_own_descriptors = true,
                         .descriptors = {again->proc},
                         .descriptor_count = 1};
    pi_helper_run(&job, NULL);
    again->is_kept = job.keeps_memory;
    free_tree(again);
}

static int32_t run(const pi_process *process, const pi_kill_request *request, pi_kill_tree **tree,
                   procinspect_error *error) {
    procinspect_error first; /* the caller's is touched by a failure only */
    int32_t result = run_helper(request, *tree, &first);
    if (result == PROCINSPECT_ERROR_TIMED_OUT)
        return run_again(process, request, tree, error);
    if (result != PROCINSPECT_OK && error != NULL)
        *error = first;
    return result;
}

/* The host as the reaper of its orphans, and as the one tracee that it can be, while it lasts. */
static int32_t run_with_host(const pi_process *process, const pi_kill_request *request,
                             pi_kill_tree **tree, procinspect_error *error) {
    int was_reaper = 0;
    int32_t result = pi_host_tracer_take_turn(request->cancellation, error);
    if (result != PROCINSPECT_OK)
        return result;
    prctl(PR_GET_CHILD_SUBREAPER, &was_reaper, 0, 0, 0);
    if ((*tree)->root_pid == (*tree)->host_pid)
        (*tree)->host_is_reaper = prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
    result = run(process, request, tree, error);
    if ((*tree)->host_is_reaper) /* it wasn't ended */
        prctl(PR_SET_CHILD_SUBREAPER, was_reaper, 0, 0, 0);
    pi_host_tracer_end_turn();
    return result;
}

int32_t pi_process_kill_tree(const pi_process *process, const pi_kill_request *request,
                             pi_arena *arena, procinspect_kill_report *report,
                             procinspect_error *error) {
    uint64_t begin = now_ns();
    if (pi_cancellation_is_requested(request->cancellation))
        return pi_error_cancelled(error);
    int32_t result = pi_process_check(process, error);
    if (result != PROCINSPECT_OK)
        return result;
    pi_kill_tree *tree = new_tree(process, request);
    if (tree == NULL)
        return pi_error_no_memory(error);
    result = ends_host(tree) ? run_with_host(process, request, &tree, error)
                             : run(process, request, &tree, error);
    if (result != PROCINSPECT_OK) {
        let_go(tree);
        undo_adoption(process, request, tree);
    } else if (tree->refusal != PI_KILL_ACCEPTED) {
        undo_adoption(process, request, tree);
        result = refused(process, tree, error);
    } else {
        result = fill_report(tree, arena, report, error);
    }
    if (result == PROCINSPECT_OK)
        report->total_ns = now_ns() - begin;
    free_tree(tree);
    return result;
}
