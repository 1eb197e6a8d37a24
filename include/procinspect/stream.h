/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_STREAM_H
#define PROCINSPECT_STREAM_H

#include <procinspect/cancellation.h>
#include <procinspect/dump.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A stream is bytes to be read once and in order: pulled (a host asks for the next ones), pushed (a
 * callback is given them), or written into a descriptor. The three can be mixed; each goes on where
 * the last one ended. Nothing is read ahead, and the memory it takes does not depend on its length.
 */
typedef struct procinspect_stream procinspect_stream;

/* Formats of a stream over a dump. This version has raw. */
enum {
    PROCINSPECT_DUMP_FORMAT_RAW = 0 /* the minidump file itself */
};

typedef struct procinspect_dump_stream_options {
    uint32_t struct_size;                   /* set by _init */
    uint32_t format;                        /* PROCINSPECT_DUMP_FORMAT_… */
    procinspect_cancellation *cancellation; /* nullable: ends the stream from another thread */
} procinspect_dump_stream_options;

PROCINSPECT_API void procinspect_dump_stream_options_init(procinspect_dump_stream_options *options,
                                                          size_t struct_size);

/*
 * Opens a stream over a dump; options may be NULL. Any number may be open over one dump. It keeps a
 * reference to the dump, which the caller may free before. Free with procinspect_stream_free.
 * Errors: INVALID_ARGUMENT, UNSUPPORTED (a format of a later version), NO_MEMORY.
 */
PROCINSPECT_API int32_t procinspect_stream_open_dump(procinspect_dump *dump,
                                                     const procinspect_dump_stream_options *options,
                                                     procinspect_stream **stream,
                                                     procinspect_error *error);

/* Opens a stream over a copy of these bytes; of length 0, for which bytes may be NULL, it is at its
 * end at once. Free with procinspect_stream_free. Errors: INVALID_ARGUMENT, NO_MEMORY. */
PROCINSPECT_API int32_t procinspect_stream_open_bytes(const void *bytes, size_t length,
                                                      procinspect_stream **stream,
                                                      procinspect_error *error);

/* Frees the stream, read to its end or not, and gives up its reference to the dump. NULL does
 * nothing. */
PROCINSPECT_API void procinspect_stream_free(procinspect_stream *stream);

/* The whole length of the stream in bytes, -1 where it can't be known beforehand. */
PROCINSPECT_API int64_t procinspect_stream_size_bytes(const procinspect_stream *stream);

/* How many bytes it has given so far. */
PROCINSPECT_API uint64_t procinspect_stream_position_bytes(const procinspect_stream *stream);

/*
 * Pull: up to `capacity` bytes into buffer, *length of them, 0 at the end of the stream. Once it
 * has failed it goes on failing.
 * Errors: INVALID_ARGUMENT (capacity 0 too), IO, CANCELLED, NO_MEMORY.
 */
PROCINSPECT_API int32_t procinspect_stream_read(procinspect_stream *stream, void *buffer,
                                                size_t capacity, size_t *length,
                                                procinspect_error *error);

/* Takes the next bytes of a stream; they are valid during the call. 0 goes on, anything else stops
 * the push. */
typedef int32_t (*procinspect_stream_sink)(void *user, const void *bytes, size_t length);

/*
 * Push: the rest of the stream, in parts of at most 256 KiB. As with the other two a failure
 * sticks, and what was given before it isn't the whole. Errors: INVALID_ARGUMENT, CANCELLED (the
 * sink stopped it, or the cancellation), IO, NO_MEMORY.
 */
PROCINSPECT_API int32_t procinspect_stream_push(procinspect_stream *stream,
                                                procinspect_stream_sink sink, void *user,
                                                procinspect_error *error);

/*
 * The rest of the stream into a file, pipe or socket, blocking or not; the descriptor stays the
 * caller's. It never raises SIGPIPE: a closed reader is an IO error with EPIPE, a full disk one
 * with ENOSPC. A cancellation ends it also while it waits for a slow reader.
 * Errors: INVALID_ARGUMENT, CANCELLED, IO (os_errno says how), NO_MEMORY.
 */
PROCINSPECT_API int32_t procinspect_stream_write_to_descriptor(procinspect_stream *stream,
                                                               int32_t descriptor,
                                                               procinspect_error *error);

#ifdef __cplusplus
}
#endif

#endif
