/* Socket calls, with and without SO_RCVTIMEO and SO_SNDTIMEO: with one the kernel answers EINTR to
 * any stop. */
#include "blocking_calls.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* fds: 0 is what the worker waits on, 1 what the waker uses. */
enum { WAITS = 0, WAKES = 1 };

/* The kernel counts these timeouts in ticks, 10 ms at most. */
enum { TICK_MS = 10 };

static bool set_timeouts(struct worker *w) {
    if (w->timeout_ms < 0) {
        return true;
    }
    const struct timeval span = {.tv_sec = w->timeout_ms / 1000,
                                 .tv_usec = w->timeout_ms % 1000 * 1000};
    return setsockopt(w->fds[WAITS], SOL_SOCKET, SO_RCVTIMEO, &span, sizeof span) == 0 &&
           setsockopt(w->fds[WAITS], SOL_SOCKET, SO_SNDTIMEO, &span, sizeof span) == 0;
}

/* A pair of connected TCP sockets on loopback; fds[2] is the listener. */
static bool open_tcp_listener(struct worker *w, int fd) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    w->fds[fd] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return w->fds[fd] >= 0 &&
           bind(w->fds[fd], (const struct sockaddr *)&address, sizeof address) == 0 &&
           listen(w->fds[fd], 8) == 0;
}

static int connect_to_listener(int listener) {
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || getsockname(listener, (struct sockaddr *)&address, &length) != 0 ||
        connect(fd, (const struct sockaddr *)&address, length) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool open_tcp_accept(struct worker *w) {
    return (open_tcp_listener(w, WAITS) && set_timeouts(w)) || not_available(w, "TCP on 127.0.0.1");
}

static bool open_tcp_pair(struct worker *w) {
    if (!open_tcp_listener(w, 2) || (w->fds[WAKES] = connect_to_listener(w->fds[2])) < 0 ||
        (w->fds[WAITS] = accept4(w->fds[2], NULL, NULL, SOCK_CLOEXEC)) < 0 || !set_timeouts(w)) {
        return not_available(w, "TCP on 127.0.0.1");
    }
    return true;
}

static bool open_unix_accept(struct worker *w) {
    const struct sockaddr address = {
        .sa_family = AF_UNIX}; /* no more than the family: a name of the kernel's choice */
    w->fds[WAITS] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (w->fds[WAITS] < 0 || bind(w->fds[WAITS], &address, sizeof address.sa_family) != 0 ||
        listen(w->fds[WAITS], 8) != 0 || !set_timeouts(w)) {
        return not_available(w, "a UNIX listener");
    }
    return true;
}

static bool open_unix_pair(struct worker *w, int type) {
    return (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, w->fds) == 0 && set_timeouts(w)) ||
           not_available(w, "socketpair");
}

static bool open_unix_stream(struct worker *w) {
    return open_unix_pair(w, SOCK_STREAM);
}

static bool open_unix_datagram(struct worker *w) {
    return open_unix_pair(w, SOCK_DGRAM);
}

static bool wake_tcp_accept(struct worker *w) {
    const int fd = connect_to_listener(w->fds[WAITS]);
    return fd >= 0 && close(fd) == 0;
}

static bool wake_unix_accept(struct worker *w) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool connected = fd >= 0 &&
                           getsockname(w->fds[WAITS], (struct sockaddr *)&address, &length) == 0 &&
                           connect(fd, (const struct sockaddr *)&address, length) == 0;
    return close(fd) == 0 && connected;
}

static enum outcome call_accept(struct worker *w, int timeout_ms) {
    (void)timeout_ms; /* it stands in the socket */
    const int fd = accept4(w->fds[WAITS], NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        return outcome_of_errno(w, EAGAIN);
    }
    close(fd);
    return OUTCOME_EVENT;
}

static bool wake_by_send(struct worker *w) {
    const unsigned number = next_event(w);
    return send(w->fds[WAKES], &number, sizeof number, MSG_NOSIGNAL) == (ssize_t)sizeof number;
}

static enum outcome receive_outcome(struct worker *w, ssize_t length, unsigned number) {
    if (length < 0) {
        return outcome_of_errno(w, EAGAIN);
    }
    return length == (ssize_t)sizeof number && number == next_event(w)
               ? OUTCOME_EVENT
               : outcome_of_value(w, number, next_event(w));
}

static enum outcome call_recv(struct worker *w, int timeout_ms) {
    unsigned number = 0;
    (void)timeout_ms;
    const ssize_t length = recv(w->fds[WAITS], &number, sizeof number, 0);
    return receive_outcome(w, length, number);
}

static enum outcome call_read(struct worker *w, int timeout_ms) {
    unsigned number = 0;
    (void)timeout_ms;
    const ssize_t length = read(w->fds[WAITS], &number, sizeof number);
    return receive_outcome(w, length, number);
}

static enum outcome call_recvmsg(struct worker *w, int timeout_ms) {
    unsigned number = 0;
    struct iovec part = {.iov_base = &number, .iov_len = sizeof number};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    (void)timeout_ms;
    const ssize_t length = recvmsg(w->fds[WAITS], &message, 0);
    return receive_outcome(w, length, number);
}

static enum outcome call_recvmmsg(struct worker *w, int timeout_ms) {
    unsigned number = 0;
    struct iovec part = {.iov_base = &number, .iov_len = sizeof number};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
    (void)timeout_ms;
    const int count = recvmmsg(w->fds[WAITS], &message, 1, 0, NULL);
    return receive_outcome(w, count < 0 ? -1 : (ssize_t)message.msg_len, number);
}

/* The socket filled to its end, and not before the waker has stopped to make room in it. */
static bool arm_send(struct worker *w) {
    static const char zeros[4096];
    pthread_mutex_lock(&w->lock);
    while (send(w->fds[WAITS], zeros, sizeof zeros, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    const bool full = errno == EAGAIN;
    pthread_mutex_unlock(&w->lock);
    return full;
}

static bool wake_send(struct worker *w) {
    char buffer[65536];
    ssize_t total = 0;
    ssize_t length = 0;
    pthread_mutex_lock(&w->lock);
    while ((length = recv(w->fds[WAKES], buffer, sizeof buffer, MSG_DONTWAIT)) > 0) {
        total += length;
    }
    pthread_mutex_unlock(&w->lock);
    return total > 0;
}

static enum outcome send_outcome(struct worker *w, ssize_t length) {
    if (length < 0) {
        return outcome_of_errno(w, EAGAIN);
    }
    return length == 1 ? OUTCOME_EVENT : outcome_of_value(w, length, 1);
}

static enum outcome call_send(struct worker *w, int timeout_ms) {
    (void)timeout_ms;
    return send_outcome(w, send(w->fds[WAITS], "x", 1, MSG_NOSIGNAL));
}

static enum outcome call_write(struct worker *w, int timeout_ms) {
    (void)timeout_ms;
    return send_outcome(w, write(w->fds[WAITS], "x", 1));
}

#define SOCKET(label, opener, caller, waker)                                                       \
    {                                                                                              \
        .name = (label), .forms = FORM_TIMEOUT | FORM_EVENT | FORM_EVENT_OR_TIMEOUT,               \
        .granularity_ms = TICK_MS, .open = (opener), .call = (caller), .wake = (waker),            \
        .close = close_descriptors                                                                 \
    }
#define SENDING_SOCKET(label, caller)                                                              \
    {                                                                                              \
        .name = (label), .forms = FORM_TIMEOUT | FORM_EVENT | FORM_EVENT_OR_TIMEOUT,               \
        .granularity_ms = TICK_MS, .open = open_unix_stream, .arm = arm_send, .call = (caller),    \
        .wake = wake_send, .close = close_descriptors                                              \
    }

const struct kind socket_kinds[] = {
    SOCKET("accept_tcp", open_tcp_accept, call_accept, wake_tcp_accept),
    SOCKET("accept_unix", open_unix_accept, call_accept, wake_unix_accept),
    SOCKET("recv_tcp", open_tcp_pair, call_recv, wake_by_send),
    SOCKET("recv_unix", open_unix_stream, call_recv, wake_by_send),
    SOCKET("recv_datagram", open_unix_datagram, call_recv, wake_by_send),
    SOCKET("read_tcp", open_tcp_pair, call_read, wake_by_send),
    SOCKET("recvmsg_unix", open_unix_stream, call_recvmsg, wake_by_send),
    SOCKET("recvmmsg_datagram", open_unix_datagram, call_recvmmsg, wake_by_send),
    SENDING_SOCKET("send_unix", call_send),
    SENDING_SOCKET("write_unix", call_write),
    {0},
};
