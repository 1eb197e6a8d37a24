/* SPDX-License-Identifier: MIT */
#include "platform/linux/trace/helper.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
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
#include "platform/linux/trace/helper_mark.h"
#include "platform/linux/trace/helper_system_call.h"

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

/* One that was started, or is about to be. */
struct pi_helper_staying {
    helper_memory memory;
    pi_helper_job job;
    int pidfd;
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

/* How a wait for a helper came to its end. */
typedef enum helper_end {
    BY_ITSELF, /* or by a signal of somebody's */
    HAS_REPORTED,
    KILLED_AT_LIMIT,
    KILLED_IN_STOP /* it had been told to stop */
} helper_end;

/* Waits a step, less where there are news; true when the helper has ended. */
static bool wait_for_news(pi_helper *helper, int pidfd, bool until_report) {
    struct pollfd ended = {pidfd, POLLIN, 0};
    if (!until_report)
        return poll(&ended, 1, STEP_MS) == 1;
    int news = atomic_load(&helper->news);
    struct timespec step = {0, STEP_MS * 1000000};
    if (!atomic_load(&helper->has_reported) && !atomic_load(&helper->has_finished))
        syscall(SYS_futex, &helper->news, FUTEX_WAIT, news, &step, NULL, 0);
    return poll(&ended, 1, 0) == 1;
}

static void tell_to_stop(pi_helper *helper) {
    atomic_store(&helper->must_stop, true);
    atomic_fetch_add(&helper->wakes, 1);
    syscall(SYS_futex, &helper->wakes, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Until the helper has reported, has ended, or doesn't though it was killed, or has left its
 * memory: what it may wait for then, on its way out, are files of a table of its own. told_ns: when
 * it was told to stop, 0 for not yet. */
static helper_end wait_for(pi_helper_staying *run, uint64_t told_ns, bool until_report) {
    pi_helper *helper = run->memory.helper;
    uint64_t ends_since_ns = 0;
    bool was_killed = false;
    while (!wait_for_news(helper, run->pidfd, until_report)) {
        uint64_t now = now_ns();
        if (until_report && atomic_load(&helper->has_reported))
            return HAS_REPORTED;
        if (told_ns == 0 && pi_cancellation_is_requested(run->job.cancellation)) {
            told_ns = now;
            tell_to_stop(helper);
        }
        if (ends_since_ns != 0) {
            if (now - ends_since_ns >= GIVE_UP_AFTER_NS)
                break;
        } else if (atomic_load(&helper->uses_memory) == 0) {
            ends_since_ns = now;
        } else if (now >= kill_at_ns(helper, &run->job, told_ns)) {
            ends_since_ns = now;
            was_killed = true;
            syscall(SYS_pidfd_send_signal, run->pidfd, SIGKILL, NULL, 0);
        }
        until_report = until_report && !atomic_load(&helper->has_finished);
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
        "The helper process wasn't done at its limit and was ended. It hung in memory that only "
        "the stopped process serves (userfaultfd, FUSE) or behind an execve whose program's file "
        "system doesn't answer, or this machine is too busy: try again, or allow more time. The "
        "process runs on.");
}

/* Another thread of the host may have waited for all children, ours included: what the helper did
 * is known without its exit status. */
static int32_t reap(const pi_helper_staying *run, helper_end end, procinspect_error *error) {
    siginfo_t info = {0};
    int result;
    do
        result = waitid(P_PIDFD, (id_t)run->pidfd, &info, WEXITED | WNOHANG | __WALL);
    while (result != 0 && errno == EINTR);
    if (atomic_load(&run->memory.helper->has_finished))
        return PROCINSPECT_OK;
    bool was_signalled = result == 0 && info.si_pid != 0 && info.si_code != CLD_EXITED;
    if (end == KILLED_IN_STOP)
        return pi_error_cancelled(error);
    if (end == KILLED_AT_LIMIT || (was_signalled && info.si_status == SIGALRM))
        return hung(run->memory.helper, error);
    if (was_signalled && info.si_status == SIGSYS)
        return pi_error_set(error, PROCINSPECT_ERROR_PERMISSION, 0,
                            "The helper process was killed by a seccomp filter; allow ptrace, "
                            "process_vm_readv, wait4, close_range, setpgid and setsid to the "
                            "host.");
    return pi_error_set(
        error, PROCINSPECT_ERROR_IO, 0,
        "The helper process was killed by signal %d before it was done; the process "
        "runs on. Try again, and look who sends such signals or whether memory ran out.",
        was_signalled ? info.si_status : 0);
}

/* Its own descriptors, or a mark for those that it opens in ours. */
static int32_t prepare(pi_helper_staying *run, procinspect_error *error) {
    pi_helper *helper = run->memory.helper;
    const pi_helper_job *job = &run->job;
    helper->job = job->run;
    helper->argument = job->argument;
    helper->limit_ns = job->limit_ns;
    helper->has_own_descriptors = job->needs_own_descriptors;
    helper->descriptor_count = job->descriptor_count;
    helper->leads_session = job->needs_own_session;
    memcpy(helper->descriptors, job->descriptors, sizeof helper->descriptors);
    helper->host_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (helper->host_pidfd < 0)
        return start_failed(-errno, error);
    return job->needs_own_descriptors
               ? PROCINSPECT_OK
               : pi_helper_mark_take(job->cancellation, &helper->mark, error);
}

static int32_t start_prepared(pi_helper_staying *run, procinspect_error *error) {
    pi_helper *helper = run->memory.helper;
    atomic_store(&helper->uses_memory, 1);
    if (run->job.limit_ns != 0)
        atomic_store(&helper->end_by_ns, now_ns() + run->job.limit_ns);
    long pid = start(&run->memory, &run->pidfd);
    if (pid < 0) {
        atomic_store(&helper->uses_memory, 0);
        return start_failed(pid, error);
    }
    let_go(helper, pid, run->job.may_trace_host);
    return PROCINSPECT_OK;
}

static void give_mark_back(pi_helper_staying *run) {
    pi_helper *helper = run->memory.helper;
    if (helper->mark != 0)
        pi_helper_mark_give_back(helper->mark);
    helper->mark = 0;
}

/* What a helper that didn't come to its end has left open is closed: none of our code runs there
 * any more. False where its memory has to stay. */
static bool clean_up(pi_helper_staying *run) {
    pi_helper *helper = run->memory.helper;
    if (helper->mark != 0 && run->pidfd >= 0 && !atomic_load(&helper->has_finished))
        pi_helper_mark_close_all(helper->mark, run->job.proc);
    give_mark_back(run);
    pi_close(run->pidfd);
    pi_close(helper->host_pidfd);
    if (atomic_load(&helper->uses_memory) != 0)
        return false;
    munmap(run->memory.base, MEMORY_BYTES);
    return true;
}

/* *has_reported: it did, and stays. */
static int32_t run_and_wait(pi_helper_staying *run, bool until_report, bool *has_reported,
                            procinspect_error *error) {
    *has_reported = false;
    int32_t result = prepare(run, error);
    if (result == PROCINSPECT_OK)
        result = start_prepared(run, error);
    if (result != PROCINSPECT_OK)
        return result;
    helper_end end = wait_for(run, 0, until_report);
    *has_reported = end == HAS_REPORTED;
    return *has_reported ? PROCINSPECT_OK : reap(run, end, error);
}

int32_t pi_helper_run(pi_helper_job *job, procinspect_error *error) {
    pi_helper_staying run = {.job = *job, .pidfd = -1};
    bool has_reported;
    job->keeps_memory = false;
    if (!map_memory(&run.memory))
        return pi_error_no_memory(error);
    /* Were this thread cancelled in between, the helper would work in memory that is gone. */
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    int32_t result = run_and_wait(&run, false, &has_reported, error);
    job->keeps_memory = !clean_up(&run);
    pthread_setcancelstate(cancel_state, NULL);
    return result;
}

int32_t pi_helper_run_until_report(pi_helper_job *job, pi_helper_staying **staying,
                                   procinspect_error *error) {
    job->keeps_memory = false;
    pi_helper_staying *run = calloc(1, sizeof *run);
    if (run == NULL)
        return pi_error_no_memory(error);
    *run = (pi_helper_staying){.job = *job, .pidfd = -1};
    if (!map_memory(&run->memory)) {
        free(run);
        return pi_error_no_memory(error);
    }
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    bool has_reported;
    int32_t result = run_and_wait(run, true, &has_reported, error);
    if (has_reported) {
        give_mark_back(run);
        run->job.cancellation = NULL; /* the caller's, for this call */
    } else {
        job->keeps_memory = !clean_up(run);
        free(run);
    }
    *staying = has_reported ? run : NULL;
    pthread_setcancelstate(cancel_state, NULL);
    return result;
}

int pi_helper_pidfd(const pi_helper_staying *staying) {
    return staying->pidfd;
}

bool pi_helper_end(pi_helper_staying *staying) {
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    tell_to_stop(staying->memory.helper);
    reap(staying, wait_for(staying, now_ns(), false), NULL);
    bool has_ended = clean_up(staying);
    free(staying);
    pthread_setcancelstate(cancel_state, NULL);
    return has_ended;
}
