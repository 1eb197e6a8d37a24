/* SPDX-License-Identifier: MIT */
#include "platform/linux/helper.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
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
#include <time.h>
#include <unistd.h>

#include "base/cancellation.h"
#include "base/error.h"
#include "base/io.h"
#include "platform/linux/helper_mark.h"
#include "platform/linux/helper_system_call.h"

enum {
    STACK_BYTES = 128 * 1024,
    GUARD_BYTES = 64 * 1024,
    SIGNAL_SET_BYTES = 8,
    STEP_MS = 10 /* between two looks at the cancellation and the clock */
};

/* The kernel's timer has to be this late before the host kills the helper itself. */
#define WATCHDOG_LATE_NS UINT64_C(1000000000)

/* What doesn't end in this time after it was killed can't be ended. */
#define GIVE_UP_AFTER_NS UINT64_C(1000000000)

/* Stack and pi_helper, in one mapping: should the helper never end, both stay. */
typedef struct helper_memory {
    char *base;
    char *stack_top;
    pi_helper *helper;
} helper_memory;

enum {
    HELPER_BYTES = (sizeof(pi_helper) + 15) / 16 * 16,
    MEMORY_BYTES = GUARD_BYTES + STACK_BYTES
};

static bool map_memory(helper_memory *memory) {
    char *base = mmap(NULL, MEMORY_BYTES, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED)
        return false;
    if (mprotect(base + GUARD_BYTES, STACK_BYTES, PROT_READ | PROT_WRITE) != 0) {
        munmap(base, MEMORY_BYTES);
        return false;
    }
    memory->base = base;
    memory->stack_top = base + MEMORY_BYTES - HELPER_BYTES;
    memory->helper = (pi_helper *)(void *)memory->stack_top;
    return true;
}

/* With all signals blocked, the ones that libc keeps for itself too: the helper starts with this
 * mask, and no handler of the host's may ever run in it. */
static long start(const helper_memory *memory, int *pidfd) {
    pi_helper *helper = memory->helper;
    unsigned long flags = CLONE_VM | CLONE_UNTRACED | CLONE_PIDFD | CLONE_CHILD_CLEARTID;
    uint64_t all = ~UINT64_C(0);
    uint64_t before;
    if (!helper->has_own_descriptors)
        flags |= CLONE_FILES;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, SIGNAL_SET_BYTES);
    long pid =
        raw_clone(flags, memory->stack_top, pidfd, &helper->uses_memory, pi_helper_begin, helper);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, SIGNAL_SET_BYTES);
    return pid;
}

static int32_t start_refused(int cause, procinspect_error *error) {
    if (cause == ENOSYS && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER)
        return pi_error_set(
            error, PROCINSPECT_ERROR_UNSUPPORTED, cause,
            "This kernel has no pidfds, without which the helper process can't tell "
            "whether the host lives; Linux 5.4 or later is needed.");
    return pi_error_set(error, PROCINSPECT_ERROR_PERMISSION, cause,
                        "The kernel doesn't let the host start its helper process: a seccomp "
                        "filter, as in a container, or a security module forbids pidfd_open or "
                        "clone; allow both to the host, and ptrace, process_vm_readv and wait4.");
}

static int32_t start_failed(long result, procinspect_error *error) {
    int cause = (int)-result;
    switch (cause) {
    case EPERM:
    case EACCES:
    case ENOSYS:
        return start_refused(cause, error);
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

/* Lets the helper begin, and be our tracer under Yama's ptrace_scope 1: until it ends, which is
 * when the kernel forgets it. Without Yama the call fails, which changes nothing. */
static void let_go(pi_helper *helper, long pid, bool may_trace_host) {
    if (may_trace_host)
        prctl(PR_SET_PTRACER, (unsigned long)pid, 0, 0, 0);
    atomic_store(&helper->go, 1);
    syscall(SYS_futex, &helper->go, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static uint64_t now_ns(void) {
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* When the host kills the helper itself, because the kernel's timer didn't; told_ns: when it was
 * told to stop, 0 for not yet. */
static uint64_t kill_at_ns(const pi_helper *helper, const pi_helper_job *job, uint64_t told_ns) {
    uint64_t end_by_ns = atomic_load(&helper->end_by_ns);
    uint64_t at_ns = end_by_ns == 0 ? UINT64_MAX : end_by_ns + WATCHDOG_LATE_NS;
    if (told_ns != 0 && job->stop_limit_ns != 0 && told_ns + job->stop_limit_ns < at_ns)
        at_ns = told_ns + job->stop_limit_ns;
    return at_ns;
}

/* How a helper came to its end. */
typedef enum helper_end {
    BY_ITSELF, /* or by a signal of somebody's */
    KILLED_AT_LIMIT,
    KILLED_IN_STOP /* it had been told to stop */
} helper_end;

/* Until the helper has ended, or doesn't though it was killed, or has left its memory: what it may
 * wait for then, on its way out, are files of a table of its own. */
static helper_end wait_for_end(pi_helper *helper, int pidfd, const pi_helper_job *job) {
    struct pollfd ended = {pidfd, POLLIN, 0};
    uint64_t told_ns = 0, ends_since_ns = 0;
    bool was_killed = false;
    while (poll(&ended, 1, STEP_MS) != 1) {
        uint64_t now = now_ns();
        if (told_ns == 0 && pi_cancellation_is_requested(job->cancellation)) {
            told_ns = now;
            atomic_store(&helper->must_stop, true);
        }
        if (ends_since_ns != 0) {
            if (now - ends_since_ns >= GIVE_UP_AFTER_NS)
                break;
        } else if (atomic_load(&helper->uses_memory) == 0) {
            ends_since_ns = now;
        } else if (now >= kill_at_ns(helper, job, told_ns)) {
            ends_since_ns = now;
            was_killed = true;
            syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        }
    }
    if (!was_killed)
        return BY_ITSELF;
    return told_ns != 0 ? KILLED_IN_STOP : KILLED_AT_LIMIT;
}

static int32_t hung(const pi_helper *helper, procinspect_error *error) {
    if (atomic_load(&helper->uses_memory) != 0)
        return pi_error_set(
            error, PROCINSPECT_ERROR_TIMED_OUT, 0,
            "The helper process hangs in the kernel, where it can't be ended: in a file system "
            "(FUSE, NFS) or a device that doesn't answer. It is left behind, and ends when that "
            "does; until then what it had stopped may stand still. Look which one it is.");
    return pi_error_set(
        error, PROCINSPECT_ERROR_TIMED_OUT, 0,
        "The helper process hung and was ended: in memory that only the stopped process serves "
        "(userfaultfd, FUSE), or behind an execve whose program's file system doesn't answer. The "
        "process runs on.");
}

/* Another thread of the host may have waited for all children, ours included: what the helper did
 * is known without its exit status. */
static int32_t reap(const pi_helper *helper, int pidfd, helper_end end, procinspect_error *error) {
    siginfo_t info = {0};
    int result;
    do
        result = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | __WALL);
    while (result != 0 && errno == EINTR);
    if (atomic_load(&helper->has_finished))
        return PROCINSPECT_OK;
    bool was_signalled = result == 0 && info.si_pid != 0 && info.si_code != CLD_EXITED;
    if (end == KILLED_IN_STOP)
        return pi_error_cancelled(error);
    if (end == KILLED_AT_LIMIT || (was_signalled && info.si_status == SIGALRM))
        return hung(helper, error);
    if (was_signalled && info.si_status == SIGSYS)
        return pi_error_set(error, PROCINSPECT_ERROR_PERMISSION, 0,
                            "The helper process was killed by a seccomp filter; allow ptrace, "
                            "process_vm_readv, wait4 and close_range to the host.");
    return pi_error_set(
        error, PROCINSPECT_ERROR_IO, 0,
        "The helper process was killed by signal %d before it was done; the process "
        "runs on. Try again, and look who sends such signals or whether memory ran out.",
        was_signalled ? info.si_status : 0);
}

static int32_t run_started(const helper_memory *memory, pi_helper_job *job,
                           procinspect_error *error) {
    pi_helper *helper = memory->helper;
    int pidfd = -1;
    atomic_store(&helper->uses_memory, 1);
    if (job->limit_ns != 0)
        atomic_store(&helper->end_by_ns, now_ns() + job->limit_ns);
    long pid = start(memory, &pidfd);
    if (pid < 0) {
        atomic_store(&helper->uses_memory, 0);
        return start_failed(pid, error);
    }
    let_go(helper, pid, job->may_trace_host);
    helper_end end = wait_for_end(helper, pidfd, job);
    int32_t result = reap(helper, pidfd, end, error);
    pi_close(pidfd);
    return result;
}

/* What a helper that didn't come to its end has left open is closed: none of our code runs there
 * any more. */
static int32_t run_in_shared_table(const helper_memory *memory, pi_helper_job *job,
                                   procinspect_error *error) {
    pi_helper *helper = memory->helper;
    int32_t result = pi_helper_mark_take(job->cancellation, &helper->mark, error);
    if (result != PROCINSPECT_OK)
        return result;
    result = run_started(memory, job, error);
    if (!atomic_load(&helper->has_finished))
        pi_helper_mark_close_all(helper->mark, job->proc);
    pi_helper_mark_give_back(helper->mark);
    return result;
}

int32_t pi_helper_run(pi_helper_job *job, procinspect_error *error) {
    helper_memory memory;
    job->keeps_memory = false;
    if (!map_memory(&memory))
        return pi_error_no_memory(error);
    pi_helper *helper = memory.helper;
    helper->job = job->run;
    helper->argument = job->argument;
    helper->limit_ns = job->limit_ns;
    helper->has_own_descriptors = job->needs_own_descriptors;
    helper->descriptor_count = job->descriptor_count;
    memcpy(helper->descriptors, job->descriptors, sizeof helper->descriptors);
    /* Were this thread cancelled in between, the helper would work in memory that is gone. */
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    int32_t result;
    helper->host_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (helper->host_pidfd < 0)
        result = start_failed(-errno, error);
    else if (job->needs_own_descriptors)
        result = run_started(&memory, job, error);
    else
        result = run_in_shared_table(&memory, job, error);
    pi_close(helper->host_pidfd);
    job->keeps_memory = atomic_load(&helper->uses_memory) != 0;
    if (!job->keeps_memory)
        munmap(memory.base, MEMORY_BYTES);
    pthread_setcancelstate(cancel_state, NULL);
    return result;
}
