/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cancellation.h"
#include "base/error.h"
#include "platform/linux/kill/report.h"
#include "platform/linux/kill/tree.h"
#include "platform/linux/linux.h"
#include "platform/linux/trace/host_tracer.h"

/* The host's side of ending a tree: asks the helper, and another one where that didn't come to its
 * end. */

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
                         .needs_own_session = true,
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

static uint64_t rest_of_grace(const pi_kill_tree *tree) {
    uint64_t until = tree->asked_at_ns + tree->grace_ns, now = now_ns();
    return until > now ? until - now : 0;
}

/* Once more, without tracing: a member can be in the middle of an execve from a file system that
 * doesn't answer, which holds up who traces it, and nobody who kills it. */
static int32_t run_again(const pi_process *process, const pi_kill_request *request,
                         pi_kill_tree **tree, procinspect_error *error) {
    pi_kill_tree *before = *tree, *again = new_tree(process, request);
    pi_kill_request rest = *request;
    let_go(before);
    if (again == NULL)
        return pi_error_no_memory(error);
    again->adopted_through = before->adopted_through;
    again->never_trace = true;
    again->host_is_reaper = before->host_is_reaper;
    again->has_begun = before->has_begun;
    again->was_asked = before->asked_at_ns != 0;
    if (again->was_asked)
        again->grace_ns = rest_of_grace(before);
    if (before->phase == PI_KILL_KILLING)
        rest.cancellation = NULL; /* it comes too late */
    if (before->has_begun)
        hand_down_members(again, before);
    free_tree(before);
    *tree = again;
    return run_helper(&rest, again, error);
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
        result = pi_kill_refused(process, tree, error);
    } else {
        result = pi_kill_fill_report(tree, arena, report, error);
    }
    if (result == PROCINSPECT_OK)
        report->total_ns = now_ns() - begin;
    free_tree(tree);
    return result;
}
