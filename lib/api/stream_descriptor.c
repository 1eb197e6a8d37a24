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

/* What is left of the stream from which on another thread is worth its start. */
enum { LEAST_BYTES_IN_PARALLEL = 4 * 1024 * 1024 };

enum { PARTS = 4, PART_BYTES = 512 * 1024 };

typedef struct destination {
    int descriptor;
    int is_socket;
    /* Not 0: a write of more could block however long the reader takes, and no cancellation would
     * end it. So no more than this is written at a time, and only once there is room for it. */
    size_t largest_write;
    const procinspect_cancellation *cancellation;
    int write_errno; /* of the write that failed, for it may have raised a signal */
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
static int32_t write_part(destination *to, const unsigned char *bytes, size_t length,
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
            to->write_errno = errno;
            code = write_failed(to->descriptor, errno, error);
        } else if (pi_cancellation_is_requested(to->cancellation)) {
            code = pi_error_cancelled(error);
        }
    }
    return code;
}

/* A stretch of the stream on its way into the descriptor. */
typedef struct relay_part {
    unsigned char *bytes;
    size_t length;
    procinspect_error failure; /* of reading; code 0 for none */
    bool is_read;              /* under the lock of the relay */
} relay_part;

/*
 * Another thread reads ahead while the calling one writes, so that it takes as long as the slower
 * of both, not as long as both together. It is several parts ahead, because a thread that waits
 * takes a moment to wake, on a virtual machine 50 us and more: neither may have to wait for the
 * other at each. A second reader made it slower where there are two processors.
 */
typedef struct relay {
    procinspect_stream *stream;
    uint64_t begin_bytes;
    uint64_t number_of_parts; /* in all; they come by turns into those that there are */
    relay_part parts[PARTS];

    pthread_mutex_t lock;
    pthread_cond_t has_read;
    pthread_cond_t has_written;
    uint64_t begun_count; /* of parts; under the lock, and the rest, too */
    uint64_t written_count;
    bool has_ended; /* nobody writes any more */
} relay;

/* Once one is free; NULL where none is to be read any more. */
static relay_part *take_part(relay *all, uint64_t *offset_bytes) {
    relay_part *taken = NULL;
    pthread_mutex_lock(&all->lock);
    while (!all->has_ended && all->begun_count != all->number_of_parts &&
           all->begun_count - all->written_count == PARTS)
        pthread_cond_wait(&all->has_written, &all->lock);
    if (!all->has_ended && all->begun_count != all->number_of_parts) {
        *offset_bytes = all->begin_bytes + all->begun_count * PART_BYTES;
        taken = &all->parts[all->begun_count++ % PARTS];
    }
    pthread_mutex_unlock(&all->lock);
    return taken;
}

static void *read_parts(void *user) {
    relay *all = user;
    const procinspect_stream *stream = all->stream;
    uint64_t offset_bytes;
    for (relay_part *part; (part = take_part(all, &offset_bytes)) != NULL;) {
        if (pi_cancellation_is_requested(stream->cancellation))
            pi_error_cancelled(&part->failure);
        else
            stream->source->read_at(stream->source, offset_bytes, part->bytes, PART_BYTES,
                                    &part->length, &part->failure);
        pthread_mutex_lock(&all->lock);
        part->is_read = true;
        pthread_cond_signal(&all->has_read);
        pthread_mutex_unlock(&all->lock);
    }
    return NULL;
}

static relay_part *wait_for_next_part(relay *all) {
    relay_part *next = &all->parts[all->written_count % PARTS];
    pthread_mutex_lock(&all->lock);
    while (!next->is_read)
        pthread_cond_wait(&all->has_read, &all->lock);
    pthread_mutex_unlock(&all->lock);
    return next;
}

static void give_back_part(relay *all, relay_part *part, bool has_ended) {
    pthread_mutex_lock(&all->lock);
    part->is_read = false;
    all->written_count++;
    all->has_ended = has_ended;
    pthread_cond_signal(&all->has_written);
    pthread_mutex_unlock(&all->lock);
}

static void write_parts(relay *all, destination *to, procinspect_error *failure) {
    for (uint64_t i = 0; i < all->number_of_parts && failure->code == PROCINSPECT_OK; i++) {
        relay_part *part = wait_for_next_part(all);
        if (part->failure.code != PROCINSPECT_OK)
            *failure = part->failure;
        else
            write_part(to, part->bytes, part->length, &all->stream->position_bytes, failure);
        give_back_part(all, part, failure->code != PROCINSPECT_OK);
    }
}

/* False where it can't be, for want of a thread or memory; nothing is written then. */
static bool write_in_parallel(procinspect_stream *stream, destination *to,
                              procinspect_error *failure) {
    pthread_t reader;
    uint64_t rest_bytes = (uint64_t)stream->size_bytes - stream->position_bytes;
    relay all = {.stream = stream,
                 .begin_bytes = stream->position_bytes,
                 .number_of_parts = (rest_bytes - 1) / PART_BYTES + 1};
    unsigned char *bytes = malloc((size_t)PARTS * PART_BYTES);
    if (bytes == NULL)
        return false;
    for (size_t i = 0; i < PARTS; i++)
        all.parts[i].bytes = bytes + i * PART_BYTES;
    pthread_mutex_init(&all.lock, NULL);
    pthread_cond_init(&all.has_read, NULL);
    pthread_cond_init(&all.has_written, NULL);
    bool has_reader = pi_thread_start(&reader, read_parts, &all);
    if (has_reader) {
        write_parts(&all, to, failure);
        pthread_join(reader, NULL);
    }
    pthread_cond_destroy(&all.has_written);
    pthread_cond_destroy(&all.has_read);
    pthread_mutex_destroy(&all.lock);
    free(bytes);
    return has_reader;
}

static void write_alone(procinspect_stream *stream, destination *to, procinspect_error *failure) {
    size_t capacity, length = 1;
    unsigned char *bytes = pi_stream_part_buffer(stream, &capacity, failure);
    while (bytes != NULL && length != 0 && failure->code == PROCINSPECT_OK)
        if (pi_stream_next(stream, bytes, capacity, &length, failure) == PROCINSPECT_OK)
            write_part(to, bytes, length, &stream->position_bytes, failure);
    free(bytes);
}

static int32_t write_rest(procinspect_stream *stream, destination *to, procinspect_error *failure) {
    bool is_long = stream->source->read_at != NULL && stream->failure.code == PROCINSPECT_OK &&
                   (uint64_t)stream->size_bytes - stream->position_bytes >= LEAST_BYTES_IN_PARALLEL;
    if (!is_long || !write_in_parallel(stream, to, failure))
        write_alone(stream, to, failure);
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
        guard_end(&guard, to.write_errno);
    }
    return code == PROCINSPECT_OK ? code : pi_stream_fail(stream, &failure, error);
}
