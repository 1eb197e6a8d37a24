/* SPDX-License-Identifier: MIT */
#include "api/stream.h"

#include <stdlib.h>

#include "base/cancellation.h"
#include "base/error.h"

int32_t pi_stream_new(pi_stream_source *source, int64_t size_bytes,
                      procinspect_cancellation *cancellation, procinspect_stream **stream,
                      procinspect_error *error) {
    procinspect_stream *made = calloc(1, sizeof *made);
    if (made == NULL) {
        source->release(source);
        return pi_error_no_memory(error);
    }
    made->source = source;
    made->size_bytes = size_bytes;
    made->cancellation = pi_cancellation_retain(cancellation);
    *stream = made;
    return PROCINSPECT_OK;
}

void procinspect_stream_free(procinspect_stream *stream) {
    if (stream == NULL)
        return;
    stream->source->release(stream->source);
    procinspect_cancellation_free(stream->cancellation);
    free(stream);
}

int64_t procinspect_stream_size_bytes(const procinspect_stream *stream) {
    return stream->size_bytes;
}

uint64_t procinspect_stream_position_bytes(const procinspect_stream *stream) {
    return stream->position_bytes;
}

void procinspect_stream_progress(const procinspect_stream *stream, uint64_t *done_bytes,
                                 uint64_t *total_bytes) {
    if (stream->source->progress != NULL) {
        stream->source->progress(stream->source, done_bytes, total_bytes);
        return;
    }
    *done_bytes = stream->position_bytes;
    *total_bytes = (uint64_t)stream->size_bytes;
}

const procinspect_zip_manifest *procinspect_stream_zip_manifest(const procinspect_stream *stream) {
    return stream->source->manifest != NULL ? stream->source->manifest(stream->source) : NULL;
}

int32_t pi_stream_fail(procinspect_stream *stream, const procinspect_error *failure,
                       procinspect_error *error) {
    stream->failure = *failure;
    if (error != NULL)
        *error = *failure;
    return failure->code;
}

int32_t pi_stream_next(procinspect_stream *stream, void *buffer, size_t capacity, size_t *length,
                       procinspect_error *error) {
    procinspect_error failure = stream->failure;
    size_t taken = 0;
    if (failure.code == PROCINSPECT_OK && pi_cancellation_is_requested(stream->cancellation))
        pi_error_cancelled(&failure);
    pi_stream_source *source = stream->source;
    if (failure.code == PROCINSPECT_OK && source->read_at != NULL)
        source->read_at(source, stream->position_bytes, buffer, capacity, &taken, &failure);
    else if (failure.code == PROCINSPECT_OK)
        source->read(source, buffer, capacity, &taken, &failure);
    if (failure.code != PROCINSPECT_OK)
        return pi_stream_fail(stream, &failure, error);
    *length = taken;
    return PROCINSPECT_OK;
}

int32_t procinspect_stream_read(procinspect_stream *stream, void *buffer, size_t capacity,
                                size_t *length, procinspect_error *error) {
    if (stream == NULL || buffer == NULL || length == NULL || capacity == 0)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_stream_read: stream, buffer or length is NULL, or "
                            "capacity is 0; 0 bytes would look like the end.");
    int32_t code = pi_stream_next(stream, buffer, capacity, length, error);
    if (code == PROCINSPECT_OK)
        stream->position_bytes += *length;
    return code;
}

void *pi_stream_part_buffer(procinspect_stream *stream, size_t *capacity,
                            procinspect_error *error) {
    size_t wanted = PI_STREAM_PART_BYTES;
    if (stream->size_bytes >= 0 &&
        (uint64_t)stream->size_bytes - stream->position_bytes < (uint64_t)wanted)
        wanted = (size_t)((uint64_t)stream->size_bytes - stream->position_bytes) + 1;
    void *buffer = malloc(wanted);
    if (buffer == NULL) {
        procinspect_error failure;
        pi_error_no_memory(&failure);
        pi_stream_fail(stream, &failure, error);
        return NULL;
    }
    *capacity = wanted;
    return buffer;
}

int32_t procinspect_stream_push(procinspect_stream *stream, procinspect_stream_sink sink,
                                void *user, procinspect_error *error) {
    if (stream == NULL || sink == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_stream_push: stream or sink is NULL.");
    size_t capacity;
    void *buffer = pi_stream_part_buffer(stream, &capacity, error);
    if (buffer == NULL)
        return PROCINSPECT_ERROR_NO_MEMORY;
    int32_t code;
    for (;;) {
        size_t length;
        code = pi_stream_next(stream, buffer, capacity, &length, error);
        if (code != PROCINSPECT_OK || length == 0)
            break;
        stream->position_bytes += length;
        int32_t answer = sink(user, buffer, length);
        if (answer != 0) {
            procinspect_error failure;
            pi_error_set(&failure, PROCINSPECT_ERROR_CANCELLED, 0,
                         "The sink stopped the stream by answering %d.", (int)answer);
            code = pi_stream_fail(stream, &failure, error);
            break;
        }
    }
    free(buffer);
    return code;
}
