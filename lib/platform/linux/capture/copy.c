/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "platform/linux/capture/copy.h"
#include "platform/linux/trace/helper_system_call.h"
#include "platform/linux/trace/stop_threads.h"

/* A copy that was forked: until it can be read, and its end. */

enum { EVENT_SHIFT = 16, EVENT_STOP = 128 /* PTRACE_EVENT_STOP, which libc's header lacks */ };

/* On a busy machine much of these may pass until the copy has had its turn. */
static const uint64_t stand_limit_ns = UINT64_C(10000000000);
static const uint64_t end_limit_ns = UINT64_C(30000000000);
/* To close a descriptor can take its time, on FUSE for good. */
static const uint64_t calls_limit_ns = UINT64_C(5000000000);
static const uint64_t wait_step_ns = UINT64_C(10000000);

void pi_copy_path(char path[PI_COPY_PATH_BYTES], int32_t pid, const char *file) {
    char digits[12];
    unsigned count = 0;
    for (; pid > 0; pid /= 10)
        digits[count++] = (char)('0' + pid % 10);
    while (count > 0)
        *path++ = digits[--count];
    while (*file != '\0')
        *path++ = *file++;
    *path = '\0';
}

/* The copy's next stop, or its end; -1 where neither comes in time. */
static int wait_for_copy(const pi_fork *fork, uint64_t until_ns) {
    for (;;) {
        int status;
        bool is_late = raw_now_ns() >= until_ns;
        long got = raw_wait(fork->copy_pid, &status, __WALL | WNOHANG);
        if (got == fork->copy_pid)
            return status;
        if (got < 0)
            return 0; /* as if it had ended */
        if (is_late)
            return -1;
        pi_helper_wait_for_child(wait_step_ns);
    }
}

static bool comes_to_stand(const pi_fork *fork) {
    uint64_t until_ns = raw_now_ns() + stand_limit_ns;
    for (;;) {
        int status = wait_for_copy(fork, until_ns);
        if (status < 0 || !WIFSTOPPED(status))
            return false;
        if (status >> EVENT_SHIFT == EVENT_STOP)
            return true;
        raw_ptrace(PTRACE_CONT, fork->copy_pid, 0, 0);
    }
}

bool pi_copy_mark_for_oom(const pi_helper *helper, int proc, int32_t pid) {
    static const char mark[] = PI_COPY_OOM_MARK;
    char path[PI_COPY_PATH_BYTES];
    pi_copy_path(path, pid, "/oom_score_adj");
    long file = raw_call(SYS_openat, proc, (long)path, O_WRONLY | O_CLOEXEC | helper->mark, 0);
    if (file < 0)
        return false;
    long written = raw_call(SYS_write, file, (long)mark, sizeof mark - 1, 0);
    raw_close((int)file);
    return written == (long)sizeof mark - 1;
}

/* The filter stays suspended in the copy for its calls. */
static void tie_to_helper(const pi_fork *fork) {
    uintptr_t options =
        (fork->options & ~(uintptr_t)PTRACE_O_TRACECLONE) | (uintptr_t)PTRACE_O_EXITKILL;
    raw_ptrace(PTRACE_SETOPTIONS, fork->copy_pid, 0, options);
}

/* It needs no way home: it is killed with us. */
static void make_calls(pi_fork *fork) {
    pi_inject *inject = &fork->inject;
    struct user_regs_struct registers;
    if (raw_ptrace(PTRACE_GETREGS, fork->copy_pid, 0, (uintptr_t)&registers) != 0)
        return;
    inject->origin = (pi_inject_origin){.pid = fork->copy_pid,
                                        .tid = fork->copy_pid,
                                        .gadgets = &fork->gadgets,
                                        .registers = &registers};
    inject->has_no_frame = true;
    inject->deadline_ns = raw_now_ns() + calls_limit_ns;
    inject->wait = pi_helper_wait_for_child;
    /* Not a session: by these the kernel shares out processors (sched_autogroup_enabled), and one
     * that begins and ends with each copy kept others from theirs for tens of seconds, beside
     * processes that compute (seen with Linux 6.18). */
    const uint64_t own_group[4] = {0}, all_descriptors[4] = {0, UINT32_MAX, CLOSE_RANGE_UNSHARE};
    long answer;
    if (pi_inject_begin(inject) != PI_INJECT_OK ||
        pi_inject_call(inject, SYS_setpgid, own_group, &answer) != PI_INJECT_OK)
        return;
    fork->has_own_group = answer == 0;
    if (pi_inject_call(inject, SYS_close_range, all_descriptors, &answer) == PI_INJECT_OK)
        fork->has_own_descriptors = answer == 0;
}

bool pi_copy_settle(pi_fork *fork) {
    if (!comes_to_stand(fork))
        return false;
    /* The mark before it ends by a signal: by it its zombie is told from others. */
    fork->has_oom_mark = pi_copy_mark_for_oom(fork->stop->helper, fork->proc, fork->copy_pid);
    tie_to_helper(fork);
    /* It has lost its way to an end of its own, and doesn't need that any more. */
    pi_inject_pop_frame(fork->copy_pid, &fork->inject.frame);
    fork->copy_stands = true;
    make_calls(fork);
    return true;
}

static bool is_thread_of(const pi_stop *stop, int32_t tid) {
    for (uint32_t i = 0; i < stop->count; i++)
        if (stop->threads[i].tid == tid)
            return true;
    return false;
}

void pi_copy_find_late(pi_fork *fork) {
    uint64_t until_ns = raw_now_ns() + stand_limit_ns;
    while (fork->copy_pid == 0 && raw_now_ns() < until_ns) {
        int status;
        long got = raw_wait(-1, &status, __WALL | WNOHANG);
        if (got < 0) /* the thread was let go of, and there is none */
            return;
        if (got == 0)
            pi_helper_wait_for_child(wait_step_ns);
        else if (!is_thread_of(fork->stop, (int32_t)got))
            fork->copy_pid = (int32_t)got;
        else if (WIFSTOPPED(status))
            pi_stop_release_late(fork->stop, (int32_t)got, status);
    }
    pi_stop_let_go(fork->stop, fork->through_tid); /* if that is to be done yet */
}

static bool comes_to_end(const pi_fork *fork) {
    uint64_t until_ns = raw_now_ns() + end_limit_ns;
    int status;
    raw_call(SYS_kill, fork->copy_pid, SIGKILL, 0, 0);
    do
        status = wait_for_copy(fork, until_ns);
    while (status >= 0 && WIFSTOPPED(status));
    return status >= 0;
}

bool pi_copy_end(pi_fork *fork) {
    if (fork->copy_pid == 0)
        return true;
    fork->copy_stands = false;
    if (fork->copy_pid_in_target == 0) /* the call that tells it came back too late */
        fork->copy_pid_in_target = pi_copy_number_in_target(fork);
    if (!comes_to_end(fork))
        return false;
    fork->copy_pid = 0;
    if (fork->copy_pid_in_target == 0)
        return pi_copy_reap_old(fork) == 0;
    return pi_copy_reap(fork, &fork->copy_pid_in_target, 1, true) == 0;
}
