/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/fork.h"

#include <errno.h>
#include <sched.h>
#include <sys/ptrace.h>

#include "platform/linux/capture/fork_thread.h"
#include "platform/linux/trace/helper_system_call.h"

/* The way back is gone to its end though the deadline has passed by then. */
static const uint64_t return_limit_ns = UINT64_C(1000000000);

/* What became of the thread; it is in the tables as it is now. */
static pi_fork_result note_thread(pi_stop *stop, pi_stop_thread *thread, pi_inject_result result) {
    switch (result) {
    case PI_INJECT_OK:
        thread->state = PI_STOP_STANDS;
        return PI_FORK_DONE;
    case PI_INJECT_FAILED:
        thread->state = PI_STOP_STANDS;
        return PI_FORK_NO_THREAD;
    case PI_INJECT_LATE:
        thread->state = PI_STOP_SEIZED;
        thread->has_registers = 0;
        stop->standing--;
        return PI_FORK_TOO_LATE;
    case PI_INJECT_GONE:
        break;
    }
    thread->state = PI_STOP_ENDED;
    stop->standing--;
    return PI_FORK_GONE;
}

/* No exit signal: no SIGCHLD, and no wait of the process's finds it, but one with __WALL. Not with
 * CLONE_FS: a process that shares its root directory with another may not enter a mount namespace,
 * and an execve of its gains no rights. */
static pi_inject_result call_clone(pi_fork *fork) {
    pi_inject *inject = &fork->inject;
    const uint64_t arguments[4] = {CLONE_FILES, inject->frame.child_address};
    long answer = -ECANCELED;
    inject->meanwhile = fork->meanwhile;
    inject->argument = fork->argument;
    pi_inject_result result = pi_inject_call(inject, SYS_clone, arguments, &answer);
    fork->fork_ns = inject->call_ns;
    fork->copy_pid = inject->forked_pid;
    if (result == PI_INJECT_OK && answer > 0)
        fork->copy_pid_in_target = (int32_t)answer;
    else if (result == PI_INJECT_OK || result == PI_INJECT_FAILED)
        fork->failed_errno = (int32_t)-answer;
    return result;
}

/* NO_THREAD where it can't serve, and another one may. */
static pi_fork_result fork_through(pi_fork *fork, const pi_fork_candidate *candidate) {
    pi_stop_thread *thread = &fork->stop->threads[candidate->index];
    if (!pi_stop_read_registers(fork->stop, thread))
        return PI_FORK_NO_THREAD;
    pi_fork_result checked = pi_fork_check_thread(fork, candidate, &fork->options);
    if (checked != PI_FORK_DONE)
        return checked;
    thread->state = PI_STOP_CALLS;
    pi_fork_borrow(fork, candidate, &fork->inject);
    pi_inject_result result = pi_inject_begin(&fork->inject);
    if (result == PI_INJECT_OK) {
        fork->through_tid = thread->tid;
        result = call_clone(fork);
        if (result == PI_INJECT_OK || result == PI_INJECT_FAILED) {
            fork->inject.deadline_ns = raw_now_ns() + return_limit_ns;
            result = pi_inject_end(&fork->inject);
        }
    }
    if (result == PI_INJECT_OK || result == PI_INJECT_FAILED)
        raw_ptrace(PTRACE_SETOPTIONS, thread->tid, 0, 0);
    pi_fork_result noted = note_thread(fork->stop, thread, result);
    return noted == PI_FORK_DONE && fork->copy_pid == 0 ? PI_FORK_REFUSED : noted;
}

pi_fork_result pi_fork_target(pi_fork *fork) {
    pi_fork_candidate candidates[PI_FORK_MOST_CANDIDATES];
    pi_fork_result reason = PI_FORK_NO_THREAD;
    if (fork->has_fork_events)
        return PI_FORK_USERFAULTFD;
    if (!pi_inject_has_gadgets(fork->stop->pid, &fork->gadgets))
        return PI_FORK_NO_GADGETS;
    uint32_t count = pi_fork_choose(fork, candidates);
    for (uint32_t i = 0; i < count; i++) {
        if (raw_now_ns() >= fork->deadline_ns)
            return PI_FORK_TOO_LATE;
        pi_fork_result result = fork_through(fork, &candidates[i]);
        switch (result) {
        case PI_FORK_SECCOMP:
        case PI_FORK_USER_DISPATCH:
        case PI_FORK_SHADOW_STACK:
        case PI_FORK_PID_NAMESPACE:
            /* Threads may differ in these. */
            reason = result;
            break;
        case PI_FORK_NO_THREAD:
            break;
        default:
            return result;
        }
    }
    return reason;
}
