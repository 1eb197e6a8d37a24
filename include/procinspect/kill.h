/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_KILL_H
#define PROCINSPECT_KILL_H

#include <procinspect/cancellation.h>
#include <procinspect/process.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Ending a process and everything it started.
 *
 *     const procinspect_kill_report *report;
 *     if (procinspect_kill_tree(process, NULL, &report, &error) == 0) {
 *         for (size_t i = 0; i < report->count; i++)
 *             if (report->items[i]->outcome == PROCINSPECT_KILL_SURVIVED)
 *                 printf("%d %s\n", report->items[i]->pid, report->items[i]->text);
 *         procinspect_kill_report_free(report);
 *     }
 *
 * The tree is the process, its descendants by parent link at one instant shortly after the call
 * begins, and all that these fork until they end, whatever became of their parents, sessions or
 * process groups. What was given to init before that instant, because its parent had ended, is not
 * in it: the link is lost, and nothing tells such a process for sure from a stranger. Where it is
 * no older than the process, and shares its session or its cgroup with a member, it is reported as
 * escaped, with a text that says which of both, and left alone. A session that its new parent is
 * in, too, as a shell's, tells nothing, nor does a cgroup that holds the calling process or an
 * ancestor of the process, as a container's or a login's; a service's does.
 *
 * How it is done. A helper process, which the calling process starts for this and waits for (it has
 * no exit signal: SIGCHLD handlers and waits of the host's never notice it), holds every member
 * through a pidfd, so that a number that is given to another process meanwhile hits nobody. It
 * seizes the members with ptrace, which stops them, and what they fork before they stop is seized
 * with them; where that is refused (Yama's ptrace_scope, setuid programs, another debugger) it
 * relies on the kernel's process events, and where there are none either, on SIGSTOP and looking
 * again until nothing is new. Then all are killed with SIGKILL, and their ends are waited for. If
 * helper or host dies meanwhile nothing stays stopped.
 *
 * Where there are no process events, or some may be lost (as an ordinary user, or in a container),
 * one thread of the process is made to call prctl(PR_SET_CHILD_SUBREAPER) first: orphans come to
 * the process then, and it is killed last. A seccomp filter of its own is put aside for that where
 * CAP_SYS_ADMIN allows it; without, the call is only made where there is no grace, since the filter
 * may answer it by killing. And during a grace all members are traced while they run on there: a
 * setuid program that one executes meanwhile runs without its privileges, unless the caller has
 * CAP_SYS_PTRACE.
 *
 * Is it complete? `is_exact` of the report says so: every fork was heard of. It is 1 where the
 * kernel's process events can be had (the first pid, user and network namespace; for ordinary users
 * since Linux 6.6, and then only while no more come than its sockets have room for) or the process
 * may be traced. Elsewhere a member that forks and ends between two looks can leave a child behind;
 * and so it can where there are no events, and the machine is too busy for the process to make that
 * call within 10 s, or for the members to stop within 20 s. It is 0 where another helper had to
 * finish what one had begun (below). And it is 0 where a tree has grown beyond 131,072 members
 * since it was checked: those for whom there was no place then aren't in the report, and may live
 * on.
 *
 * How long does it take? Mostly as long as the members take to end. Where some don't: 5 s to bring
 * them to stand and timeout_ms for their ends, which INCLUDE_HOST doubles; with a grace, grace_ms
 * and another 5 s before; 20 s in place of each 5 where the machine is too busy for them to stop. A
 * helper that hangs in the kernel, as behind a file system that doesn't answer, is ended after 5 s
 * where it traces a member or reads its code, and elsewhere at the latest 65 s behind grace_ms and
 * twice timeout_ms; another one tries without tracing then. So the call returns within
 * 2 * (grace_ms + 2 * timeout_ms) + 140 s, whatever hangs: 160 s by default. With INCLUDE_HOST
 * calls of other threads that trace the host, too, are waited for before that.
 *
 * A tree that forks without pause takes processors from who ends it. The helper therefore has a
 * session of its own, between which the kernel shares them out (sched_autogroup_enabled), and with
 * CAP_SYS_NICE the highest priority in it and of it.
 *
 * Privileges: those of kill(2) for every member, nothing more. Linux 5.9 or later, x86-64.
 */

/* Option flags. */
enum {
    /* The calling process may be in the tree; then it is ended, too, when all others are gone, and
     * the call doesn't return. Without this such a tree is refused. */
    PROCINSPECT_KILL_INCLUDE_HOST = 0x1,
    /* Nothing is stopped or signalled: the call makes all its checks, and the report lists the tree
     * with the outcome NOT_TRIED. */
    PROCINSPECT_KILL_ONLY_CHECK = 0x2
};

/* The largest grace_ms and timeout_ms. */
#define PROCINSPECT_KILL_LONGEST_MS UINT32_C(600000)

typedef struct procinspect_kill_options {
    uint32_t struct_size; /* set by _init */
    uint32_t flags;       /* PROCINSPECT_KILL_INCLUDE_HOST, …_ONLY_CHECK */
    /* 0: SIGKILL at once. Else all members but the host get SIGTERM first (and SIGCONT, for the
     * stopped), and this long to end; what is left, and what was forked meanwhile, is killed. */
    uint32_t grace_ms;
    uint32_t timeout_ms; /* how long the ends are waited for, behind the grace; 0: 5000 */
    /* Nullable: gives up, with CANCELLED, until the first SIGKILL is sent. Members run on then as
     * if nothing had been, those excepted that SIGTERM has ended. */
    procinspect_cancellation *cancellation;
} procinspect_kill_options;

PROCINSPECT_API void procinspect_kill_options_init(procinspect_kill_options *options,
                                                   size_t struct_size);

/* What became of a process. */
enum {
    PROCINSPECT_KILL_NOT_TRIED = 0,    /* ONLY_CHECK */
    PROCINSPECT_KILL_ENDED = 1,        /* dead, or a zombie that its parent has yet to wait for */
    PROCINSPECT_KILL_ALREADY_GONE = 2, /* was so when it was first looked at */
    PROCINSPECT_KILL_REFUSED = 3,      /* found after the check, and may not be signalled, by the
                                          kernel or by the user scope; it runs on */
    PROCINSPECT_KILL_SURVIVED = 4,     /* SIGKILL was sent, and it hasn't ended in time */
    PROCINSPECT_KILL_ESCAPED = 5       /* no member, but maybe once one, by its session or cgroup;
                                          see above. It runs on */
};

typedef struct procinspect_kill_item {
    int32_t pid;
    int32_t parent_pid; /* when it was found */
    uint32_t outcome;   /* PROCINSPECT_KILL_… */
    uint32_t reserved;
    const char *name; /* as the kernel has it, at most 15 bytes; empty where it ended unseen */
    const char *text; /* REFUSED, SURVIVED, ESCAPED: why, and what to do about it; else NULL */
} procinspect_kill_item;

typedef struct procinspect_kill_report {
    /* The process first, parents before what they forked; escaped ones last. */
    const procinspect_kill_item *const *items;
    size_t count;
    int32_t pid;       /* of the process that the call was about */
    uint32_t is_exact; /* 1: every fork was heard of; see above */
    uint32_t ended_count;
    uint32_t already_gone_count;
    uint32_t refused_count;
    uint32_t survived_count;
    uint32_t escaped_count;
    uint32_t reserved;
    uint64_t read_at_ns; /* the instant at which the tree was read; CLOCK_MONOTONIC */
    uint64_t total_ns;   /* the whole call */
} procinspect_kill_report;

/*
 * Ends the tree below and including the process; options may be NULL. 0 means that it was tried:
 * the report has an outcome for every pid, survivors among them. On success *report is the
 * caller's, to be freed with procinspect_kill_report_free.
 *
 * The context has to allow PROCINSPECT_ALLOW_KILL; its user scope holds for every member, its
 * authorize callback is asked about the process itself.
 *
 * Errors before anything is stopped or signalled: INVALID_ARGUMENT; POLICY; GONE, REPLACED;
 * PERMISSION (process 1, a kernel thread, a tree that holds the calling process, a member that the
 * kernel lets this user not signal: the message says which); TOO_LARGE (more than 131,072 members,
 * or 262,144 processes on the system); UNSUPPORTED (a context with its own proc_root, this system);
 * NO_MEMORY, NO_RESOURCES. Errors that can come later, too: CANCELLED; IO (the helper was killed);
 * TIMED_OUT (it hung twice, see above); PERMISSION (a seccomp filter of the host's killed it);
 * NO_MEMORY, NO_RESOURCES (for another attempt, or for the report of a tree that has been ended).
 * Members that still live run on then, SIGKILL pending for those that it was sent to.
 */
PROCINSPECT_API int32_t procinspect_kill_tree(const procinspect_process *process,
                                              const procinspect_kill_options *options,
                                              const procinspect_kill_report **report,
                                              procinspect_error *error);
PROCINSPECT_API void procinspect_kill_report_free(const procinspect_kill_report *report);

#ifdef __cplusplus
}
#endif

#endif
