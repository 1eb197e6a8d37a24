/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/stream.h"
#include "base/cancellation.h"
#include "base/error.h"
#include "base/thread.h"

/* How soon a cancellation is noticed while a slow reader is waited for. */
enum { CANCELLATION_POLL_MS = 50 };

/* What is left of the stream from which on a second thread is worth its start. */
enum { LEAST_BYTES_FOR_TWO = 4 * 1024 * 1024 };

enum { MOST_PARTS = 4 };

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

/*
 * The stream on its way into the descriptor, part by part: a second thread reads ahead while the
 * calling one writes, so that it takes as long as the slower of both, not as long as both together.
 * It is several parts ahead, because a thread that waits takes a moment to wake, on a virtual
 * machine as long as a part: neither may have to wait for the other at each.
 */
typedef struct relay {
    procinspect_stream *stream;
    unsigned char *parts[MOST_PARTS];
    size_t part_count; /* 1: nobody reads ahead */
    size_t capacity;   /* of each part */

    pthread_mutex_t lock;
    pthread_cond_t has_moved;
    uint64_t read_count; /* of parts; under the lock, and the rest, too */
    uint64_t written_count;
    bool writer_has_ended;
    size_t lengths[MOST_PARTS]; /* 0: the end, or the failure */
    procinspect_error failure;  /* of reading; code 0 for none */
} relay;

static void read_part(relay *all, size_t at, size_t *length, procinspect_error *failure) {
    *length = 0;
    pi_stream_next(all->stream, all->parts[at], all->capacity, length, failure);
}

/* Once a part is free; false where nobody writes any more. */
static bool wait_for_free_part(relay *all, size_t *at) {
    pthread_mutex_lock(&all->lock);
    while (!all->writer_has_ended && all->read_count - all->written_count == all->part_count)
        pthread_cond_wait(&all->has_moved, &all->lock);
    *at = all->read_count % all->part_count;
    bool has_ended = all->writer_has_ended;
    pthread_mutex_unlock(&all->lock);
    return !has_ended;
}

static void *read_ahead(void *user) {
    relay *all = user;
    size_t at, length = 1;
    while (length != 0 && wait_for_free_part(all, &at)) {
        procinspect_error failure = {0};
        read_part(all, at, &length, &failure);
        pthread_mutex_lock(&all->lock);
        all->lengths[at] = length;
        all->failure = failure;
        all->read_count++;
        pthread_cond_signal(&all->has_moved);
        pthread_mutex_unlock(&all->lock);
    }
    return NULL;
}

static size_t wait_for_part(relay *all, size_t *length, procinspect_error *failure) {
    pthread_mutex_lock(&all->lock);
    while (all->read_count == all->written_count)
        pthread_cond_wait(&all->has_moved, &all->lock);
    size_t at = all->written_count % all->part_count;
    *length = all->lengths[at];
    if (*length == 0)
        *failure = all->failure;
    pthread_mutex_unlock(&all->lock);
    return at;
}

static void give_back_part(relay *all, bool has_ended) {
    pthread_mutex_lock(&all->lock);
    all->written_count++;
    all->writer_has_ended = has_ended;
    pthread_cond_signal(&all->has_moved);
    pthread_mutex_unlock(&all->lock);
}

static void write_parts(relay *all, const destination *to, procinspect_error *failure) {
    for (bool has_ended = false; !has_ended;) {
        size_t at = 0, length;
        if (all->part_count == 1)
            read_part(all, at, &length, failure);
        else
            at = wait_for_part(all, &length, failure);
        has_ended = length == 0 ||
                    write_part(to, all->parts[at], length, &all->stream->position_bytes, failure) !=
                        PROCINSPECT_OK;
        give_back_part(all, has_ended);
    }
}

/* More parts than one where there is enough to do, and as many as there is memory for. */
static void add_parts(relay *all) {
    const procinspect_stream *stream = all->stream;
    all->part_count = 1;
    if (stream->size_bytes < 0 ||
        (uint64_t)stream->size_bytes - stream->position_bytes < LEAST_BYTES_FOR_TWO)
        return;
    while (all->part_count < MOST_PARTS &&
           (all->parts[all->part_count] = malloc(all->capacity)) != NULL)
        all->part_count++;
}

static int32_t write_rest(procinspect_stream *stream, const destination *to,
                          procinspect_error *failure) {
    pthread_t reader;
    relay all = {.stream = stream};
    all.parts[0] = pi_stream_part_buffer(stream, &all.capacity, failure);
    if (all.parts[0] == NULL)
        return failure->code;
    add_parts(&all);
    pthread_mutex_init(&all.lock, NULL);
    pthread_cond_init(&all.has_moved, NULL);
    if (all.part_count > 1 && pi_thread_start(&reader, read_ahead, &all)) {
        write_parts(&all, to, failure);
        pthread_join(reader, NULL);
    } else {
        all.part_count = 1;
        write_parts(&all, to, failure);
    }
    pthread_cond_destroy(&all.has_moved);
    pthread_mutex_destroy(&all.lock);
    for (size_t i = 0; i < MOST_PARTS; i++)
        free(all.parts[i]);
    return failure->code;
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
