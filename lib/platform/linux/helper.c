/* SPDX-License-Identifier: MIT */
#include "platform/linux/helper.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cancellation.h"
#include "base/error.h"
#include "base/io.h"
#include "platform/linux/helper_system_call.h"

enum {
    STACK_BYTES = 128 * 1024,
    GUARD_BYTES = 64 * 1024,
    SIGNAL_SET_BYTES = 8,
    CANCELLATION_STEP_MS = 10
};

static void *map_stack(void) {
    char *base = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    if (mprotect(base + GUARD_BYTES, STACK_BYTES, PROT_READ | PROT_WRITE) != 0) {
        munmap(base, GUARD_BYTES + STACK_BYTES);
        return NULL;
    }
    return base;
}

/* With all signals blocked, the ones that libc keeps for itself too: the helper starts with this
 * mask, and no handler of the host's may ever run in it. */
static long start(pi_helper *helper, char *stack, int *pidfd) {
    uint64_t all = ~UINT64_C(0);
    uint64_t before;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, SIGNAL_SET_BYTES);
    long pid = raw_clone(CLONE_VM | CLONE_UNTRACED | CLONE_PIDFD, stack + GUARD_BYTES + STACK_BYTES,
                         pidfd, pi_helper_begin, helper);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, SIGNAL_SET_BYTES);
    return pid;
}

static int32_t start_failed(long result, procinspect_error *error) {
    int cause = (int)-result;
    switch (cause) {
    case EAGAIN:
        return pi_error_set(error, PROCINSPECT_ERROR_NO_RESOURCES, cause,
                            "No more processes may be started; raise RLIMIT_NPROC of this user or "
                            "pids.max of the host's cgroup.");
    case EMFILE:
    case ENFILE:
        return pi_error_set(error, PROCINSPECT_ERROR_NO_RESOURCES, cause,
                            "No file descriptor is left; raise RLIMIT_NOFILE of the host process.");
    case ENOMEM:
        return pi_error_no_memory(error);
    default:
        return pi_error_set(error, pi_error_code_of_errno(cause), cause,
                            "Starting the helper process failed: %s.", strerror(cause));
    }
}

/* Lets the helper begin, and be our tracer under Yama's ptrace_scope 1. Without Yama the call
 * fails, which changes nothing. */
static void let_go(pi_helper *helper, long pid, bool may_trace_host) {
    if (may_trace_host)
        prctl(PR_SET_PTRACER, (unsigned long)pid, 0, 0, 0);
    atomic_store(&helper->go, 1);
    syscall(SYS_futex, &helper->go, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void wait_for_end(pi_helper *helper, int pidfd,
                         const procinspect_cancellation *cancellation) {
    struct pollfd ended = {pidfd, POLLIN, 0};
    for (;;) {
        int count = poll(&ended, 1, cancellation == NULL ? -1 : CANCELLATION_STEP_MS);
        if (count == 1)
            return;
        if (pi_cancellation_is_requested(cancellation))
            atomic_store(&helper->must_stop, true);
    }
}

/* Another thread of the host may have waited for all children, ours included: what the helper did
 * is known without its exit status. */
static int32_t reap(const pi_helper *helper, int pidfd, procinspect_error *error) {
    siginfo_t info = {0};
    int result;
    do
        result = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | __WALL);
    while (result != 0 && errno == EINTR);
    if (atomic_load(&helper->has_finished))
        return PROCINSPECT_OK;
    if (result == 0 && info.si_code != CLD_EXITED && info.si_status == SIGALRM)
        return pi_error_set(
            error, PROCINSPECT_ERROR_TIMED_OUT, 0,
            "The helper process hung, for instance in memory that only the stopped "
            "process serves (userfaultfd, FUSE), and was ended; the process runs on.");
    if (result == 0 && info.si_code != CLD_EXITED && info.si_status == SIGSYS)
        return pi_error_set(error, PROCINSPECT_ERROR_PERMISSION, 0,
                            "The helper process was killed by a seccomp filter; allow ptrace, "
                            "process_vm_readv, wait4 and close_range to the host.");
    return pi_error_set(
        error, PROCINSPECT_ERROR_IO, 0,
        "The helper process was killed by signal %d before it was done; the process "
        "runs on. Try again, and look who sends such signals or whether memory ran out.",
        result == 0 ? info.si_status : 0);
}

static int32_t run_started(pi_helper *helper, const pi_helper_job *job, char *stack,
                           procinspect_error *error) {
    int pidfd = -1;
    long pid = start(helper, stack, &pidfd);
    if (pid < 0)
        return start_failed(pid, error);
    let_go(helper, pid, job->may_trace_host);
    wait_for_end(helper, pidfd, job->cancellation);
    int32_t result = reap(helper, pidfd, error);
    if (job->may_trace_host)
        prctl(PR_SET_PTRACER, 0, 0, 0, 0);
    pi_close(pidfd);
    return result;
}

int32_t pi_helper_run(const pi_helper_job *job, procinspect_error *error) {
    char *stack = map_stack();
    if (stack == NULL)
        return pi_error_no_memory(error);
    pi_helper helper = {.job = job->run, .argument = job->argument};
    helper.descriptor_count = job->descriptor_count;
    memcpy(helper.descriptors, job->descriptors, sizeof helper.descriptors);
    /* Were this thread cancelled in between, the helper would work in memory that is gone. */
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    int32_t result;
    helper.host_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (helper.host_pidfd < 0)
        result = start_failed(-errno, error);
    else
        result = run_started(&helper, job, stack, error);
    pi_close(helper.host_pidfd);
    munmap(stack, GUARD_BYTES + STACK_BYTES);
    pthread_setcancelstate(cancel_state, NULL);
    return result;
}
