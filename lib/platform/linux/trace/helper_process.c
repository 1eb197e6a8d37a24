/* SPDX-License-Identifier: MIT */
#include "platform/linux/trace/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "platform/linux/trace/helper_system_call.h"

/* What runs first, and what the jobs use, in the helper process. Nothing here may call libc. */

enum {
    KERNEL_SIGNALS = 64,
    SIGNAL_SET_BYTES = 8,
    HANDSHAKE_STEP_MS = 100,
    LOWEST_REAL_TIME_PRIORITY = 1
};

/* The kernel's own form of a signal action and set, which libc's differ from. */
typedef struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
} kernel_action;

static uint64_t signal_bit(int signal) {
    return UINT64_C(1) << (signal - 1);
}

static void reset_handler(int signal) {
    kernel_action fallback = {SIG_DFL, 0, NULL, 0};
    raw_call(SYS_rt_sigaction, signal, (long)&fallback, 0, SIGNAL_SET_BYTES);
}

/* In a table of its own: closes what lies between the descriptors to keep. Where the kernel refuses
 * (a seccomp profile older than the call), they stay open until the helper ends. */
static void close_inherited(const pi_helper *helper) {
    int kept[PI_HELPER_MAX_DESCRIPTORS + 1];
    size_t count = 0;
    kept[count++] = helper->host_pidfd;
    for (size_t i = 0; i < helper->descriptor_count; i++) {
        size_t at = count++;
        for (; at > 0 && kept[at - 1] > helper->descriptors[i]; at--)
            kept[at] = kept[at - 1];
        kept[at] = helper->descriptors[i];
    }
    long first = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept[i] > first)
            raw_call(SYS_close_range, first, kept[i] - 1, 0, 0);
        first = (long)kept[i] + 1;
    }
    raw_call(SYS_close_range, first, ~0u, 0, 0);
}

static bool host_has_ended(const pi_helper *helper) {
    struct pollfd host = {helper->host_pidfd, POLLIN, 0};
    struct timespec now = {0, 0};
    return raw_call6(SYS_ppoll, (long)&host, 1, (long)&now, 0, 0, 0) == 1;
}

bool pi_helper_must_stop(const pi_helper *helper) {
    return !helper->is_cleaning_up && (atomic_load(&helper->must_stop) || host_has_ended(helper));
}

static void wait_for_go(pi_helper *helper) {
    while (atomic_load(&helper->go) == 0 && !pi_helper_must_stop(helper)) {
        struct timespec step = {0, HANDSHAKE_STEP_MS * 1000000};
        raw_call(SYS_futex, (long)&helper->go, FUTEX_WAIT, 0, (long)&step);
    }
}

static void tell_host(pi_helper *helper) {
    atomic_fetch_add(&helper->news, 1);
    raw_call(SYS_futex, (long)&helper->news, FUTEX_WAKE, 1, 0);
}

/* What is sent to the host's group isn't for us: SIGSTOP would leave standing what we hold, and
 * SIGALRM is the watchdog's. */
static void leave_group(pi_helper *helper) {
    if (helper->leads_session)
        helper->leads_session = raw_call(SYS_setsid, 0, 0, 0, 0) >= 0;
    if (!helper->leads_session)
        raw_call(SYS_setpgid, 0, 0, 0, 0);
}

void pi_helper_begin(void *argument) {
    pi_helper *helper = argument;
    leave_group(helper);
    if (helper->limit_ns != 0)
        pi_helper_start_watchdog(helper, helper->limit_ns);
    /* Every other signal is blocked here, as it was in the thread that started us. A host that
     * ignores SIGCHLD, or asked not to hear of stopped children, must not keep us from hearing of
     * them. */
    reset_handler(SIGCHLD);
    if (helper->has_own_descriptors)
        close_inherited(helper);
    /* The target stands still while this runs. Only the privileged may; others do without. */
    raw_call(SYS_setpriority, PRIO_PROCESS, 0, -20, 0);
    wait_for_go(helper);
    if (!pi_helper_must_stop(helper))
        helper->job(helper, helper->argument);
    atomic_store(&helper->has_finished, true);
    tell_host(helper);
    for (;;)
        raw_call(SYS_exit_group, 0, 0, 0, 0);
}

static void set_policy(int policy, int priority) {
    struct sched_param parameters = {.sched_priority = priority};
    raw_call(SYS_sched_setscheduler, 0, policy, (long)&parameters, 0);
}

void pi_helper_hold_processor(pi_helper *helper) {
    helper->policy = (int)raw_call(SYS_sched_getscheduler, 0, 0, 0, 0);
    int kind = helper->policy & ~SCHED_RESET_ON_FORK;
    helper->holds_processor =
        helper->policy >= 0 && (kind == SCHED_OTHER || kind == SCHED_BATCH || kind == SCHED_IDLE);
    if (helper->holds_processor)
        set_policy(SCHED_FIFO, LOWEST_REAL_TIME_PRIORITY);
}

void pi_helper_share_processor(pi_helper *helper) {
    if (helper->holds_processor)
        set_policy(helper->policy, 0);
    helper->holds_processor = false;
}

static void set_alarm(uint64_t limit_ns) {
    uint64_t limit_us = limit_ns == 0 ? 0 : limit_ns / 1000 + 1;
    struct itimerval once = {{0, 0},
                             {(time_t)(limit_us / 1000000), (suseconds_t)(limit_us % 1000000)}};
    raw_call(SYS_setitimer, ITIMER_REAL, (long)&once, 0, 0);
}

void pi_helper_start_watchdog(pi_helper *helper, uint64_t limit_ns) {
    atomic_store(&helper->end_by_ns, raw_now_ns() + limit_ns);
    reset_handler(SIGALRM);
    uint64_t alarm = signal_bit(SIGALRM);
    raw_call(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&alarm, 0, SIGNAL_SET_BYTES);
    set_alarm(limit_ns);
}

void pi_helper_clean_up(pi_helper *helper, uint64_t limit_ns) {
    helper->is_cleaning_up = true;
    pi_helper_start_watchdog(helper, limit_ns);
}

void pi_helper_stop_watchdog(pi_helper *helper) {
    uint64_t alarm = signal_bit(SIGALRM);
    set_alarm(0);
    raw_call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&alarm, 0, SIGNAL_SET_BYTES);
    atomic_store(&helper->end_by_ns, 0);
}

void pi_helper_block_signals(void) {
    uint64_t all = ~UINT64_C(0);
    raw_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, SIGNAL_SET_BYTES);
}

void pi_helper_report(pi_helper *helper) {
    atomic_store(&helper->has_reported, true);
    tell_host(helper);
}

void pi_helper_sleep(pi_helper *helper, uint64_t limit_ns) {
    struct timespec limit = {(time_t)(limit_ns / 1000000000), (long)(limit_ns % 1000000000)};
    int wakes = atomic_load(&helper->wakes);
    if (!atomic_load(&helper->must_stop))
        raw_call(SYS_futex, (long)&helper->wakes, FUTEX_WAIT, wakes, (long)&limit);
}

long pi_helper_open(const pi_helper *helper, int directory, const char *path, int flags) {
    return raw_open(directory, path, flags | O_RDONLY | O_CLOEXEC | helper->mark);
}

void pi_helper_hand_over(int file) {
    long flags = file < 0 ? -1 : raw_call(SYS_fcntl, file, F_GETFL, 0, 0);
    if (flags >= 0) /* each mark has this one */
        raw_call(SYS_fcntl, file, F_SETFL, flags & ~(long)O_APPEND, 0);
}

void pi_helper_wait_for_child(uint64_t limit_ns) {
    uint64_t child = signal_bit(SIGCHLD);
    struct timespec limit = {(time_t)(limit_ns / 1000000000), (long)(limit_ns % 1000000000)};
    raw_call(SYS_rt_sigtimedwait, (long)&child, 0, (long)&limit, SIGNAL_SET_BYTES);
}
