/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/stream.h"
#include "base/cancellation.h"
#include "base/error.h"

/* How soon a cancellation is noticed while a slow reader is waited for. */
enum { CANCELLATION_POLL_MS = 50 };

typedef struct destination {
    int descriptor;
    int is_socket;
    /* Not 0: a write of more could block however long the reader takes, and no cancellation would
     * end it. So no more than this is written at a time, and only once there is room for it. */
    size_t largest_write;
    const procinspect_cancellation *cancellation;
} destination;

/* The signals that a write to a descriptor that is no socket can raise in its thread. */
typedef struct signal_guard {
    sigset_t guarded; /* those of them that weren't pending before */
    sigset_t mask_before;
} signal_guard;

static void guard_begin(signal_guard *guard) {
    static const int raised_by_write[] = {SIGPIPE, SIGXFSZ};
    sigset_t blocked, pending;
    sigemptyset(&blocked);
    sigemptyset(&guard->guarded);
    sigpending(&pending);
    for (size_t i = 0; i < sizeof raised_by_write / sizeof raised_by_write[0]; i++) {
        sigaddset(&blocked, raised_by_write[i]);
        if (!sigismember(&pending, raised_by_write[i]))
            sigaddset(&guard->guarded, raised_by_write[i]);
    }
    pthread_sigmask(SIG_BLOCK, &blocked, &guard->mask_before);
}

/* Takes back the signal that our own write left pending, if it did. */
static void guard_end(signal_guard *guard, int write_errno) {
    static const struct timespec at_once = {0};
    int raised = write_errno == EPIPE ? SIGPIPE : write_errno == EFBIG ? SIGXFSZ : 0;
    if (raised != 0 && sigismember(&guard->guarded, raised)) {
        sigset_t taken;
        sigemptyset(&taken);
        sigaddset(&taken, raised);
        while (sigtimedwait(&taken, NULL, &at_once) < 0 && errno == EINTR)
            continue;
    }
    pthread_sigmask(SIG_SETMASK, &guard->mask_before, NULL);
}

static int32_t write_failed(int descriptor, int os_errno, procinspect_error *error) {
    const char *cause = "see os_errno";
    if (os_errno == EPIPE || os_errno == ECONNRESET)
        cause = "its reader has closed it, and there is nobody to send the rest to";
    else if (os_errno == ENOSPC)
        cause = "the disk is full; free some space or write elsewhere";
    else if (os_errno == EFBIG)
        cause = "the file would grow beyond what the system or RLIMIT_FSIZE allows";
    else if (os_errno == EBADF)
        cause = "it is not open for writing";
    return pi_error_set(error, PROCINSPECT_ERROR_IO, os_errno,
                        "Writing to descriptor %d failed with errno %d: %s.", descriptor, os_errno,
                        cause);
}

static int32_t destination_open(destination *to, int descriptor,
                                const procinspect_cancellation *cancellation,
                                procinspect_error *error) {
    struct stat status;
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fstat(descriptor, &status) != 0)
        return write_failed(descriptor, errno, error);
    *to = (destination){.descriptor = descriptor,
                        .is_socket = S_ISSOCK(status.st_mode),
                        .cancellation = cancellation};
    int can_block = !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode) && !(flags & O_NONBLOCK);
    if (can_block && !to->is_socket && cancellation != NULL)
        to->largest_write = PIPE_BUF;
    return PROCINSPECT_OK;
}

static int32_t wait_for_room(const destination *to, procinspect_error *error) {
    struct pollfd item = {.fd = to->descriptor, .events = POLLOUT};
    for (;;) {
        if (pi_cancellation_is_requested(to->cancellation))
            return pi_error_cancelled(error);
        int ready = poll(&item, 1, to->cancellation == NULL ? -1 : CANCELLATION_POLL_MS);
        if (ready > 0)
            return PROCINSPECT_OK;
        if (ready < 0 && errno != EINTR)
            return write_failed(to->descriptor, errno, error);
    }
}

static ssize_t write_some(const destination *to, const void *bytes, size_t length) {
    if (to->is_socket)
        return send(to->descriptor, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (to->largest_write != 0 && length > to->largest_write)
        length = to->largest_write;
    return write(to->descriptor, bytes, length);
}

/* Writes all of it, and adds to *written what the descriptor took. */
static int32_t write_part(const destination *to, const unsigned char *bytes, size_t length,
                          uint64_t *written, procinspect_error *error) {
    size_t done = 0;
    int32_t code = PROCINSPECT_OK;
    while (done < length && code == PROCINSPECT_OK) {
        if (to->largest_write != 0)
            code = wait_for_room(to, error);
        if (code != PROCINSPECT_OK)
            break;
        ssize_t taken = write_some(to, bytes + done, length - done);
        if (taken > 0) {
            done += (size_t)taken;
            *written += (uint64_t)taken;
        } else if (taken == 0 || errno == EAGAIN || errno == EWOULDBLOCK) {
            code = wait_for_room(to, error);
        } else if (errno != EINTR) {
            code = write_failed(to->descriptor, errno, error);
        } else if (pi_cancellation_is_requested(to->cancellation)) {
            code = pi_error_cancelled(error);
        }
    }
    return code;
}

static int32_t write_rest(procinspect_stream *stream, const destination *to,
                          procinspect_error *failure) {
    size_t capacity;
    unsigned char *buffer = pi_stream_part_buffer(stream, &capacity, failure);
    if (buffer == NULL)
        return PROCINSPECT_ERROR_NO_MEMORY;
    int32_t code;
    for (;;) {
        size_t length;
        code = pi_stream_next(stream, buffer, capacity, &length, failure);
        if (code != PROCINSPECT_OK || length == 0)
            break;
        code = write_part(to, buffer, length, &stream->position_bytes, failure);
        if (code != PROCINSPECT_OK)
            break;
    }
    free(buffer);
    return code;
}

int32_t procinspect_stream_write_to_descriptor(procinspect_stream *stream, int32_t descriptor,
                                               procinspect_error *error) {
    if (stream == NULL || descriptor < 0)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_stream_write_to_descriptor: stream is NULL or descriptor "
                            "is negative.");
    procinspect_error failure = {0};
    destination to;
    int32_t code = destination_open(&to, descriptor, stream->cancellation, &failure);
    if (code == PROCINSPECT_OK) {
        signal_guard guard;
        guard_begin(&guard);
        code = write_rest(stream, &to, &failure);
        guard_end(&guard, failure.os_errno);
    }
    return code == PROCINSPECT_OK ? code : pi_stream_fail(stream, &failure, error);
}
