/* SPDX-License-Identifier: MIT */
#ifndef PI_API_STREAM_H
#define PI_API_STREAM_H

#include <procinspect/stream.h>

/*
 * Where a stream's bytes come from: the raw dump, a copy of bytes, and what later formats make of a
 * dump. A source keeps its own state; whoever implements one begins its struct with this.
 */
typedef struct pi_stream_source {
    /* One of both. The next bytes, up to capacity (not 0); *length 0 only at the end. */
    int32_t (*read)(struct pi_stream_source *source, void *buffer, size_t capacity, size_t *length,
                    procinspect_error *error);
    /* Or, where the stream's size is known, those at this offset, as many as there are up to
     * capacity; by any thread. */
    int32_t (*read_at)(const struct pi_stream_source *source, uint64_t offset_bytes, void *buffer,
                       size_t capacity, size_t *length, procinspect_error *error);
    void (*release)(struct pi_stream_source *source); /* frees the source itself too */
    /* As procinspect_stream_progress; NULL where the stream's own size is known and says it. */
    void (*progress)(const struct pi_stream_source *source, uint64_t *done_bytes,
                     uint64_t *total_bytes);
    /* As procinspect_stream_zip_manifest; NULL where it is no zip. */
    const procinspect_zip_manifest *(*manifest)(const struct pi_stream_source *source);
} pi_stream_source;

enum { PI_STREAM_SIZE_UNKNOWN = -1 };

/* The most that is handed to a sink or a descriptor at a time. */
enum { PI_STREAM_PART_BYTES = 256 * 1024 };

struct procinspect_stream {
    pi_stream_source *source;
    int64_t size_bytes; /* or PI_STREAM_SIZE_UNKNOWN */
    uint64_t position_bytes;
    procinspect_cancellation *cancellation;
    procinspect_error failure; /* code 0 as long as there was none */
};

/* Makes a stream that owns the source; on failure the source is released. */
int32_t pi_stream_new(pi_stream_source *source, int64_t size_bytes,
                      procinspect_cancellation *cancellation, procinspect_stream **stream,
                      procinspect_error *error);

/* The next bytes, without counting them as given. A failure sticks to the stream. */
int32_t pi_stream_next(procinspect_stream *stream, void *buffer, size_t capacity, size_t *length,
                       procinspect_error *error);

/* Makes *failure the stream's, for good, and the caller's; returns its code. */
int32_t pi_stream_fail(procinspect_stream *stream, const procinspect_error *failure,
                       procinspect_error *error);

/* A stream over the dump as a zip; the options have been checked. Errors: NO_MEMORY. */
int32_t pi_stream_open_zip(procinspect_dump *dump, const procinspect_dump_stream_options *options,
                           procinspect_stream **stream, procinspect_error *error);

/* A buffer for the parts of the rest of the stream; NULL after a failure for want of memory. */
void *pi_stream_part_buffer(procinspect_stream *stream, size_t *capacity, procinspect_error *error);

#endif
