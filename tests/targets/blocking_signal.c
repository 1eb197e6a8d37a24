/* Calls that wait for a signal. */
#include "blocking_calls.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Blocked in every thread: it is fetched, never handled. */
static int queued_signal(void) {
    return SIGRTMIN + 2;
}

static sigset_t only(int number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    return set;
}

static bool wake_by_queue(struct worker *w) {
    const union sigval value = {.sival_int = (int)next_event(w)};
    return pthread_sigqueue(w->thread, queued_signal(), value) == 0;
}

static enum outcome call_sigwaitinfo(struct worker *w, int timeout_ms) {
    const sigset_t set = only(queued_signal());
    const struct timespec span = timespec_of_ms(timeout_ms);
    siginfo_t info;
    const int number = timeout_ms < 0 ? sigwaitinfo(&set, &info) : sigtimedwait(&set, &info, &span);
    if (number < 0) {
        return outcome_of_errno(w, EAGAIN);
    }
    return info.si_code == SI_QUEUE && info.si_value.sival_int == (int)next_event(w)
               ? OUTCOME_EVENT
               : outcome_of_value(w, info.si_value.sival_int, next_event(w));
}

static bool open_signalfd(struct worker *w) {
    const sigset_t set = only(queued_signal());
    w->fds[0] = signalfd(-1, &set, SFD_CLOEXEC);
    return w->fds[0] >= 0 || not_available(w, "signalfd");
}

static enum outcome call_read_signalfd(struct worker *w, int timeout_ms) {
    struct signalfd_siginfo info;
    (void)timeout_ms;
    if (read(w->fds[0], &info, sizeof info) < 0) {
        return outcome_of_errno(w, 0);
    }
    return info.ssi_int == (int)next_event(w) ? OUTCOME_EVENT
                                              : outcome_of_value(w, info.ssi_int, next_event(w));
}

/* pause() and sigsuspend() end when a handler has run, and only then. */
static void count_signal(int number) {
    (void)number;
    if (current_worker != NULL) {
        atomic_fetch_add(&current_worker->handled, 1);
    }
}

static bool open_handler(struct worker *w) {
    struct sigaction action = {.sa_handler = count_signal};
    sigemptyset(&action.sa_mask);
    return sigaction(SIGUSR1, &action, NULL) == 0 || not_available(w, "sigaction");
}

static enum outcome handler_outcome(struct worker *w, int result) {
    const unsigned handled = atomic_load(&w->handled);
    if (result == -1 && errno == EINTR && handled == next_event(w)) {
        return OUTCOME_EVENT;
    }
    return result == -1 ? outcome_of_errno(w, 0) : outcome_of_value(w, result, -1);
}

static bool arm_pause(struct worker *w) {
    const sigset_t set = only(SIGUSR1);
    (void)w;
    return pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0;
}

static enum outcome call_pause(struct worker *w, int timeout_ms) {
    (void)timeout_ms;
    return handler_outcome(w, pause());
}

/* The handler has run, and it is in pause() for the same event. */
static bool has_slept_on(const struct worker *w) {
    const unsigned sent = atomic_load(&w->events_sent);
    return atomic_load(&w->handled) == sent && worker_is_in_syscall(w, SYS_pause) &&
           atomic_load(&w->events_seen) != sent;
}

/*
 * A signal sent before pause() has begun would be handled in vain, and the call would never end.
 * So it is, by the kernel itself, if the thread has been stopped, goes on, and loses its processor
 * right before it begins the call anew: then it is sent again. With nothing but ptrace's own stops
 * that was once in 12,000 signals, so that more than a few are a violation.
 */
static bool wake_pause(struct worker *w) {
    enum { MOST_SENT_AGAIN = 2 };
    static unsigned sent_again;
    const uint64_t end_ns = monotonic_ns() + 5000000000U;
    bool is_sent = false;
    while (atomic_load(&w->events_seen) != atomic_load(&w->events_sent)) {
        if (is_sent && has_slept_on(w) && sent_again < MOST_SENT_AGAIN) {
            sent_again++;
            atomic_fetch_sub(&w->handled, 1);
            is_sent = false;
        }
        if (!is_sent && worker_is_in_syscall(w, SYS_pause)) {
            if (pthread_kill(w->thread, SIGUSR1) != 0) {
                return false;
            }
            is_sent = true;
        }
        if (monotonic_ns() > end_ns) {
            return is_sent;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return true;
}

static enum outcome call_sigsuspend(struct worker *w, int timeout_ms) {
    sigset_t mask;
    (void)timeout_ms;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    sigdelset(&mask, SIGUSR1);
    return handler_outcome(w, sigsuspend(&mask));
}

static bool wake_sigsuspend(struct worker *w) {
    return pthread_kill(w->thread, SIGUSR1) == 0;
}

const struct kind signal_kinds[] = {
    {.name = "sigtimedwait",
     .forms = FORM_TIMEOUT | FORM_EVENT | FORM_EVENT_OR_TIMEOUT,
     .call = call_sigwaitinfo,
     .wake = wake_by_queue},
    {.name = "read_signalfd",
     .forms = FORM_EVENT,
     .open = open_signalfd,
     .call = call_read_signalfd,
     .wake = wake_by_queue,
     .close = close_descriptors},
    {.name = "pause",
     .forms = FORM_EVENT,
     .open = open_handler,
     .arm = arm_pause,
     .call = call_pause,
     .wake = wake_pause},
    {.name = "sigsuspend",
     .forms = FORM_EVENT,
     .open = open_handler,
     .call = call_sigsuspend,
     .wake = wake_sigsuspend},
    {0},
};
