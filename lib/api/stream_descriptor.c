/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdlib.h>

#include "api/destination.h"
#include "api/stream.h"
#include "base/cancellation.h"
#include "base/error.h"
#include "base/thread.h"

/* What is left of the stream from which on another thread is worth its start. */
enum { LEAST_BYTES_IN_PARALLEL = 4 * 1024 * 1024 };

enum { PART_BYTES = 512 * 1024 };

/*
 * The calling thread and another take the stream's parts by turns; each reads its own and writes
 * it. Into a file they do so at its offset: none waits for the other, which would cost 50 us and
 * more at each part on a virtual machine, since that long a thread takes to wake. Elsewhere one
 * reads while the other writes, in order.
 */
typedef struct transfer {
    const procinspect_stream *stream;
    const pi_destination *to;
    uint64_t begin_bytes;
    uint64_t part_count;

    pthread_mutex_t lock;
    pthread_cond_t turn_has_changed;
    /* Under the lock. */
    uint64_t begun_count;
    uint64_t next_to_write;  /* where order matters; all before it are written */
    uint64_t failed_part;    /* the first; part_count for none */
    uint64_t written_bytes;  /* of the failed part */
    uint64_t farthest_bytes; /* the end of what was written */
    procinspect_error failure;
} transfer;

/* One of both threads. */
typedef struct mover {
    transfer *all;
    unsigned char *bytes; /* PART_BYTES of them */
    int write_errno;
} mover;

/* part_count where none is left, or one has failed. */
static uint64_t take_part(transfer *all) {
    pthread_mutex_lock(&all->lock);
    bool has_failed = all->failed_part != all->part_count;
    uint64_t part =
        has_failed || all->begun_count == all->part_count ? all->part_count : all->begun_count++;
    pthread_mutex_unlock(&all->lock);
    return part;
}

/* False where a part before it has failed. */
static bool wait_for_turn(transfer *all, uint64_t part) {
    pthread_mutex_lock(&all->lock);
    while (all->next_to_write != part && all->failed_part > part)
        pthread_cond_wait(&all->turn_has_changed, &all->lock);
    bool is_its_turn = all->next_to_write == part;
    pthread_mutex_unlock(&all->lock);
    return is_its_turn;
}

static void end_part(transfer *all, uint64_t part, uint64_t written_bytes,
                     const procinspect_error *failure) {
    uint64_t end_bytes = written_bytes == 0 ? 0 : part * PART_BYTES + written_bytes;
    pthread_mutex_lock(&all->lock);
    if (end_bytes > all->farthest_bytes)
        all->farthest_bytes = end_bytes;
    if (failure->code == PROCINSPECT_OK) {
        all->next_to_write = part + 1;
    } else if (part < all->failed_part) {
        all->failed_part = part;
        all->written_bytes = written_bytes;
        all->failure = *failure;
    }
    pthread_cond_signal(&all->turn_has_changed);
    pthread_mutex_unlock(&all->lock);
}

static void move_part(mover *self, uint64_t part) {
    transfer *all = self->all;
    const procinspect_stream *stream = all->stream;
    uint64_t offset_bytes = part * PART_BYTES, written = 0;
    size_t length = 0;
    procinspect_error failure = {0};
    if (pi_cancellation_is_requested(stream->cancellation))
        pi_error_cancelled(&failure);
    else
        stream->source->read_at(stream->source, all->begin_bytes + offset_bytes, self->bytes,
                                PART_BYTES, &length, &failure);
    if (failure.code == PROCINSPECT_OK && !all->to->uses_offsets && !wait_for_turn(all, part))
        return;
    if (failure.code == PROCINSPECT_OK)
        pi_destination_write(all->to, offset_bytes, self->bytes, length, &written,
                             &self->write_errno, &failure);
    end_part(all, part, written, &failure);
}

static void *move_parts(void *user) {
    mover *self = user;
    for (uint64_t part; (part = take_part(self->all)) != self->all->part_count;)
        move_part(self, part);
    return NULL;
}

/* By the calling thread alone where there is no other to be had. */
static void move_by_both(transfer *all, unsigned char *bytes, int *write_errno) {
    mover caller = {all, bytes, 0}, other = {all, bytes + PART_BYTES, 0};
    pthread_t thread;
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->turn_has_changed, NULL);
    bool has_other = pi_thread_start(&thread, move_parts, &other);
    move_parts(&caller);
    if (has_other)
        pthread_join(thread, NULL);
    pthread_cond_destroy(&all->turn_has_changed);
    pthread_mutex_destroy(&all->lock);
    *write_errno = caller.write_errno;
}

/* False where it can't be, for want of memory; nothing is written then. */
static bool write_in_parallel(procinspect_stream *stream, pi_destination *to, int *write_errno,
                              procinspect_error *failure) {
    uint64_t rest_bytes = (uint64_t)stream->size_bytes - stream->position_bytes;
    transfer all = {.stream = stream,
                    .to = to,
                    .begin_bytes = stream->position_bytes,
                    .part_count = (rest_bytes - 1) / PART_BYTES + 1};
    all.failed_part = all.part_count;
    unsigned char *bytes = malloc(2 * (size_t)PART_BYTES);
    if (bytes == NULL)
        return false;
    pi_destination_use_offsets(to, rest_bytes);
    move_by_both(&all, bytes, write_errno);
    free(bytes);
    *failure = all.failure;
    uint64_t length_bytes = failure->code == PROCINSPECT_OK
                                ? rest_bytes
                                : all.failed_part * PART_BYTES + all.written_bytes;
    pi_destination_finish_offsets(to, length_bytes, all.farthest_bytes);
    stream->position_bytes += length_bytes;
    return true;
}

static void write_alone(procinspect_stream *stream, const pi_destination *to, int *write_errno,
                        procinspect_error *failure) {
    size_t capacity, length = 1;
    unsigned char *bytes = pi_stream_part_buffer(stream, &capacity, failure);
    while (bytes != NULL && length != 0 && failure->code == PROCINSPECT_OK)
        if (pi_stream_next(stream, bytes, capacity, &length, failure) == PROCINSPECT_OK)
            pi_destination_write(to, 0, bytes, length, &stream->position_bytes, write_errno,
                                 failure);
    free(bytes);
}

static void write_rest(procinspect_stream *stream, pi_destination *to, int *write_errno,
                       procinspect_error *failure) {
    bool is_long = stream->source->read_at != NULL && stream->failure.code == PROCINSPECT_OK &&
                   (uint64_t)stream->size_bytes - stream->position_bytes >= LEAST_BYTES_IN_PARALLEL;
    if (!is_long || !write_in_parallel(stream, to, write_errno, failure))
        write_alone(stream, to, write_errno, failure);
}

int32_t procinspect_stream_write_to_descriptor(procinspect_stream *stream, int32_t descriptor,
                                               procinspect_error *error) {
    if (stream == NULL || descriptor < 0)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_stream_write_to_descriptor: stream is NULL or descriptor "
                            "is negative.");
    /* Were this thread cancelled in between, the other would work in a stack that is gone. */
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    procinspect_error failure = {0};
    pi_destination to;
    if (pi_destination_open(&to, descriptor, stream->cancellation, &failure) == PROCINSPECT_OK) {
        int write_errno = 0;
        pi_signal_guard guard;
        pi_signal_guard_begin(&guard);
        write_rest(stream, &to, &write_errno, &failure);
        pi_signal_guard_end(&guard, write_errno);
    }
    pthread_setcancelstate(cancel_state, NULL);
    return failure.code == PROCINSPECT_OK ? PROCINSPECT_OK
                                          : pi_stream_fail(stream, &failure, error);
}
