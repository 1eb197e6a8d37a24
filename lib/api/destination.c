/* SPDX-License-Identifier: MIT */
#include "api/destination.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cancellation.h"
#include "base/error.h"
#include "platform/platform.h"

/* How soon a cancellation is noticed while a slow reader is waited for. */
enum { CANCELLATION_POLL_MS = 50 };

void pi_signal_guard_begin(pi_signal_guard *guard) {
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

void pi_signal_guard_end(const pi_signal_guard *guard, int write_errno) {
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

int32_t pi_destination_open(pi_destination *to, int descriptor,
                            const procinspect_cancellation *cancellation,
                            procinspect_error *error) {
    struct stat status;
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fstat(descriptor, &status) != 0)
        return write_failed(descriptor, errno, error);
    *to = (pi_destination){.descriptor = descriptor,
                           .is_socket = S_ISSOCK(status.st_mode),
                           .is_file = S_ISREG(status.st_mode) && !(flags & O_APPEND),
                           .size_before_bytes = status.st_size,
                           .cancellation = cancellation};
    bool can_block = !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode) && !(flags & O_NONBLOCK);
    if (can_block && !to->is_socket && cancellation != NULL)
        to->largest_write = PIPE_BUF;
    return PROCINSPECT_OK;
}

void pi_destination_use_offsets(pi_destination *to, uint64_t length_bytes) {
    to->begin_offset = to->is_file ? lseek(to->descriptor, 0, SEEK_CUR) : -1;
    to->uses_offsets = to->begin_offset >= 0 &&
                       (uint64_t)to->begin_offset <= (uint64_t)INT64_MAX - length_bytes &&
                       pi_file_takes_any_order(to->descriptor);
}

static int32_t wait_for_room(const pi_destination *to, procinspect_error *error) {
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

static ssize_t write_some(const pi_destination *to, uint64_t offset_bytes, const void *bytes,
                          size_t length) {
    if (to->is_socket)
        return send(to->descriptor, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (to->uses_offsets)
        return pwrite(to->descriptor, bytes, length, to->begin_offset + (off_t)offset_bytes);
    if (to->largest_write != 0 && length > to->largest_write)
        length = to->largest_write;
    return write(to->descriptor, bytes, length);
}

int32_t pi_destination_write(const pi_destination *to, uint64_t offset_bytes,
                             const unsigned char *bytes, size_t length, uint64_t *written,
                             int *write_errno, procinspect_error *error) {
    size_t done = 0;
    int32_t code = PROCINSPECT_OK;
    while (done < length && code == PROCINSPECT_OK) {
        if (to->largest_write != 0)
            code = wait_for_room(to, error);
        if (code != PROCINSPECT_OK)
            break;
        ssize_t taken = write_some(to, offset_bytes + done, bytes + done, length - done);
        if (taken > 0) {
            done += (size_t)taken;
            *written += (uint64_t)taken;
        } else if (taken == 0 || errno == EAGAIN || errno == EWOULDBLOCK) {
            code = wait_for_room(to, error);
        } else if (errno != EINTR) {
            *write_errno = errno;
            code = write_failed(to->descriptor, errno, error);
        } else if (pi_cancellation_is_requested(to->cancellation)) {
            code = pi_error_cancelled(error);
        }
    }
    return code;
}

void pi_destination_finish_offsets(const pi_destination *to, uint64_t length_bytes,
                                   uint64_t farthest_bytes) {
    if (!to->uses_offsets)
        return;
    off_t end = to->begin_offset + (off_t)length_bytes;
    off_t farthest = to->begin_offset + (off_t)farthest_bytes;
    off_t kept = length_bytes == 0 || end < to->size_before_bytes ? to->size_before_bytes : end;
    /* Another size is somebody else's work. Where the file can't be cut it keeps what it has; the
     * stream has failed either way. */
    struct stat status;
    if (farthest > kept && fstat(to->descriptor, &status) == 0 && status.st_size == farthest)
        while (ftruncate(to->descriptor, kept) != 0 && errno == EINTR)
            continue;
    lseek(to->descriptor, end, SEEK_SET);
}
