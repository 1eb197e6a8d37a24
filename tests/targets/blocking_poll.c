/* Calls that wait for a descriptor to become ready. */
#include "blocking_calls.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

/* The number of ready descriptors, as all of these calls return it. */
static enum outcome ready_outcome(struct worker *w, long ready) {
    if (ready < 0) {
        return outcome_of_errno(w, 0);
    }
    if (ready == 0) {
        return OUTCOME_TIMEOUT;
    }
    if (ready != 1 || !drain_eventfd(w)) {
        return outcome_of_value(w, ready, 1);
    }
    return OUTCOME_EVENT;
}

static enum outcome call_poll(struct worker *w, int timeout_ms) {
    struct pollfd entry = {.fd = w->fds[0], .events = POLLIN};
    return ready_outcome(w, poll(&entry, 1, timeout_ms));
}

static enum outcome call_ppoll(struct worker *w, int timeout_ms) {
    struct pollfd entry = {.fd = w->fds[0], .events = POLLIN};
    const struct timespec span = timespec_of_ms(timeout_ms);
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return ready_outcome(w, ppoll(&entry, 1, timeout_ms < 0 ? NULL : &span, &mask));
}

static enum outcome call_select(struct worker *w, int timeout_ms) {
    struct timeval span = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(w->fds[0], &readable);
    return ready_outcome(
        w, select(w->fds[0] + 1, &readable, NULL, NULL, timeout_ms < 0 ? NULL : &span));
}

static enum outcome call_pselect(struct worker *w, int timeout_ms) {
    const struct timespec span = timespec_of_ms(timeout_ms);
    sigset_t mask;
    fd_set readable;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    FD_ZERO(&readable);
    FD_SET(w->fds[0], &readable);
    return ready_outcome(
        w, pselect(w->fds[0] + 1, &readable, NULL, NULL, timeout_ms < 0 ? NULL : &span, &mask));
}

static bool open_select(struct worker *w) {
    if (!open_eventfd(w)) {
        return false;
    }
    errno = EMFILE;
    return w->fds[0] < FD_SETSIZE || not_available(w, "a descriptor below FD_SETSIZE");
}

static bool open_epoll(struct worker *w) {
    struct epoll_event event = {.events = EPOLLIN};
    if (!open_eventfd(w)) {
        return false;
    }
    w->fds[1] = epoll_create1(EPOLL_CLOEXEC);
    if (w->fds[1] < 0 || epoll_ctl(w->fds[1], EPOLL_CTL_ADD, w->fds[0], &event) != 0) {
        return not_available(w, "epoll");
    }
    return true;
}

static enum outcome call_epoll_wait(struct worker *w, int timeout_ms) {
    struct epoll_event event;
    return ready_outcome(w, epoll_wait(w->fds[1], &event, 1, timeout_ms));
}

static enum outcome call_epoll_pwait(struct worker *w, int timeout_ms) {
    struct epoll_event event;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return ready_outcome(w, epoll_pwait(w->fds[1], &event, 1, timeout_ms, &mask));
}

static enum outcome call_epoll_pwait2(struct worker *w, int timeout_ms) {
    struct epoll_event event;
    const struct timespec span = timespec_of_ms(timeout_ms);
    return ready_outcome(
        w, syscall(SYS_epoll_pwait2, w->fds[1], &event, 1, timeout_ms < 0 ? NULL : &span, NULL, 0));
}

static bool open_epoll_pwait2(struct worker *w) {
    if (syscall(SYS_epoll_pwait2, -1, NULL, 0, NULL, NULL, 0) < 0 && errno == ENOSYS) {
        return not_available(w, "epoll_pwait2");
    }
    return open_epoll(w);
}

#define WAITS_FOR_EVENTFD                                                                          \
    .forms = FORM_TIMEOUT | FORM_EVENT | FORM_EVENT_OR_TIMEOUT, .wake = wake_eventfd,              \
    .close = close_descriptors

const struct kind poll_kinds[] = {
    {.name = "poll", .open = open_eventfd, .call = call_poll, WAITS_FOR_EVENTFD},
    {.name = "ppoll", .open = open_eventfd, .call = call_ppoll, WAITS_FOR_EVENTFD},
    {.name = "select", .open = open_select, .call = call_select, WAITS_FOR_EVENTFD},
    {.name = "pselect", .open = open_select, .call = call_pselect, WAITS_FOR_EVENTFD},
    {.name = "epoll_wait", .open = open_epoll, .call = call_epoll_wait, WAITS_FOR_EVENTFD},
    {.name = "epoll_pwait", .open = open_epoll, .call = call_epoll_pwait, WAITS_FOR_EVENTFD},
    {.name = "epoll_pwait2",
     .open = open_epoll_pwait2,
     .call = call_epoll_pwait2,
     WAITS_FOR_EVENTFD},
    {0},
};
