/* read(2) and write(2) on what is no socket. */
#include "blocking_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

bool open_eventfd(struct worker *w) {
    w->fds[0] = eventfd(0, EFD_CLOEXEC);
    return w->fds[0] >= 0 || not_available(w, "eventfd");
}

bool wake_eventfd(struct worker *w) {
    const uint64_t one = 1;
    return write(w->fds[0], &one, sizeof one) == (ssize_t)sizeof one;
}

bool drain_eventfd(struct worker *w) {
    uint64_t count = 0;
    return read(w->fds[0], &count, sizeof count) == (ssize_t)sizeof count && count == 1;
}

static enum outcome call_read_eventfd(struct worker *w, int timeout_ms) {
    uint64_t count = 0;
    (void)timeout_ms;
    if (read(w->fds[0], &count, sizeof count) < 0) {
        return outcome_of_errno(w, 0);
    }
    return count == 1 ? OUTCOME_EVENT : outcome_of_value(w, (int64_t)count, 1);
}

static bool open_pipe(struct worker *w) {
    return pipe2(w->fds, O_CLOEXEC) == 0 || not_available(w, "pipe2");
}

static bool wake_pipe(struct worker *w) {
    const unsigned number = next_event(w);
    return write(w->fds[1], &number, sizeof number) == (ssize_t)sizeof number;
}

static enum outcome pipe_outcome(struct worker *w, ssize_t length, unsigned number) {
    if (length < 0) {
        return outcome_of_errno(w, 0);
    }
    return length == (ssize_t)sizeof number && number == next_event(w)
               ? OUTCOME_EVENT
               : outcome_of_value(w, number, next_event(w));
}

static enum outcome call_read_pipe(struct worker *w, int timeout_ms) {
    unsigned number = 0;
    (void)timeout_ms;
    const ssize_t length = read(w->fds[0], &number, sizeof number);
    return pipe_outcome(w, length, number);
}

static enum outcome call_readv_pipe(struct worker *w, int timeout_ms) {
    unsigned number = 0;
    const struct iovec part = {.iov_base = &number, .iov_len = sizeof number};
    (void)timeout_ms;
    const ssize_t length = readv(w->fds[0], &part, 1);
    return pipe_outcome(w, length, number);
}

/* A pipe filled to its end; room for one more byte comes when the waker empties it. */
static bool arm_write_pipe(struct worker *w) {
    static const char zeros[4096];
    fcntl(w->fds[1], F_SETFL, O_NONBLOCK);
    while (write(w->fds[1], zeros, sizeof zeros) > 0) {
    }
    const bool full = errno == EAGAIN;
    fcntl(w->fds[1], F_SETFL, 0);
    return full;
}

static bool wake_write_pipe(struct worker *w) {
    char buffer[65536];
    return read(w->fds[0], buffer, sizeof buffer) > 0;
}

static enum outcome call_write_pipe(struct worker *w, int timeout_ms) {
    (void)timeout_ms;
    const ssize_t length = write(w->fds[1], "x", 1);
    if (length < 0) {
        return outcome_of_errno(w, 0);
    }
    return length == 1 ? OUTCOME_EVENT : outcome_of_value(w, length, 1);
}

static bool open_timerfd(struct worker *w) {
    w->fds[0] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    return w->fds[0] >= 0 || not_available(w, "timerfd_create");
}

static bool set_timerfd(struct worker *w, long nanoseconds) {
    const struct itimerspec span = {
        .it_value = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000}};
    return timerfd_settime(w->fds[0], 0, &span, NULL) == 0;
}

static bool wake_timerfd(struct worker *w) {
    return set_timerfd(w, 1);
}

static enum outcome call_read_timerfd(struct worker *w, int timeout_ms) {
    uint64_t expirations = 0;
    if (timeout_ms >= 0 && !set_timerfd(w, timeout_ms * 1000000L)) {
        return outcome_of_errno(w, 0);
    }
    if (read(w->fds[0], &expirations, sizeof expirations) < 0) {
        return outcome_of_errno(w, 0);
    }
    if (expirations != 1) {
        return outcome_of_value(w, (int64_t)expirations, 1);
    }
    return timeout_ms >= 0 ? OUTCOME_TIMEOUT : OUTCOME_EVENT;
}

/* A watch on a file that loses its name at once, so that nothing remains of it. */
static bool open_inotify(struct worker *w) {
    char path[] = "/tmp/blocking-calls-XXXXXX";
    w->fds[0] = inotify_init1(IN_CLOEXEC);
    w->fds[1] = mkostemp(path, O_CLOEXEC);
    const bool watched =
        w->fds[0] >= 0 && w->fds[1] >= 0 && inotify_add_watch(w->fds[0], path, IN_MODIFY) >= 0;
    const int watch_errno = errno;
    if (w->fds[1] >= 0) {
        unlink(path);
    }
    errno = watch_errno;
    return watched || not_available(w, "inotify");
}

static bool wake_inotify(struct worker *w) {
    return write(w->fds[1], "x", 1) == 1;
}

static enum outcome call_read_inotify(struct worker *w, int timeout_ms) {
    struct inotify_event event = {0};
    (void)timeout_ms;
    if (read(w->fds[0], &event, sizeof event) < 0) {
        return outcome_of_errno(w, 0);
    }
    return event.mask == IN_MODIFY ? OUTCOME_EVENT : outcome_of_value(w, event.mask, IN_MODIFY);
}

void close_descriptors(struct worker *w) {
    for (size_t i = 0; i < sizeof w->fds / sizeof *w->fds; i++) {
        if (w->fds[i] >= 0) {
            close(w->fds[i]);
            w->fds[i] = -1;
        }
    }
}

const struct kind read_kinds[] = {
    {.name = "read_eventfd",
     .forms = FORM_EVENT,
     .open = open_eventfd,
     .call = call_read_eventfd,
     .wake = wake_eventfd,
     .close = close_descriptors},
    {.name = "read_pipe",
     .forms = FORM_EVENT,
     .open = open_pipe,
     .call = call_read_pipe,
     .wake = wake_pipe,
     .close = close_descriptors},
    {.name = "readv_pipe",
     .forms = FORM_EVENT,
     .open = open_pipe,
     .call = call_readv_pipe,
     .wake = wake_pipe,
     .close = close_descriptors},
    {.name = "write_pipe",
     .forms = FORM_EVENT,
     .open = open_pipe,
     .arm = arm_write_pipe,
     .call = call_write_pipe,
     .wake = wake_write_pipe,
     .close = close_descriptors},
    {.name = "read_timerfd",
     .forms = FORM_TIMEOUT | FORM_EVENT,
     .open = open_timerfd,
     .call = call_read_timerfd,
     .wake = wake_timerfd,
     .close = close_descriptors},
    {.name = "read_inotify",
     .forms = FORM_EVENT,
     .open = open_inotify,
     .call = call_read_inotify,
     .wake = wake_inotify,
     .close = close_descriptors},
    {0},
};
