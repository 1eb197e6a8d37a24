/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_STREAM_H
#define PROCINSPECT_STREAM_H

#include <procinspect/cancellation.h>
#include <procinspect/dump.h>
#include <procinspect/zip_manifest.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A stream is bytes to be read once and in order: pulled (a host asks for the next ones), pushed (a
 * callback is given them), or written into a descriptor. The three can be mixed; each goes on where
 * the last one ended. Of a raw dump and of bytes nothing is read ahead, but a part while the one
 * before is written into a descriptor; of a zip some blocks for each compressing thread. The memory
 * that a stream takes does not depend on its length.
 */
typedef struct procinspect_stream procinspect_stream;

/* Formats of a stream over a dump. */
enum {
    PROCINSPECT_DUMP_FORMAT_RAW = 0, /* the minidump file itself */
    /*
     * A zip with the file minidump.dmp, then the debugger's support files (zip_manifest.h), each of
     * which keeps a descriptor open until it was read, and at last manifest.json, which says what
     * these are and what is missing. It is compressed while it is read: its size isn't known
     * before. It has data descriptors, so that it can be unpacked from a pipe, and the zip64 form
     * where the dump could come to 4 GiB. One that broke off has no central directory, and no
     * reader takes it for whole. It takes at most 32 MiB, with two workers 3.
     *
     * Workers are threads of the calling process. They start one by one as blocks are read, have
     * all signals blocked, call nothing of the host's, rest while the stream isn't read, and end
     * when it is freed. Where the system has no more threads to give, those that there are do it,
     * or the thread that reads. A child that the host forks has none of them: it must not read or
     * free the stream.
     */
    PROCINSPECT_DUMP_FORMAT_ZIP = 1
};

/* Option flags of a zip. */
#define PROCINSPECT_ZIP_NO_SUPPORT_FILES UINT32_C(0x1) /* none is looked for */
/* Support files of a process in another mount namespace are taken from there, too: what they hold
 * is up to that process, and the manifest marks them. */
#define PROCINSPECT_ZIP_FROM_TARGET UINT32_C(0x2)

/* What the support files of a zip may have in all unless it is said, 64 MiB. */
#define PROCINSPECT_ZIP_SUPPORT_BYTES_DEFAULT (UINT64_C(64) * 1024 * 1024)

/* What a zip is compressed with unless it is said: the fastest. */
#define PROCINSPECT_ZIP_LEVEL_DEFAULT UINT32_C(1)

typedef struct procinspect_dump_stream_options {
    uint32_t struct_size;                   /* set by _init */
    uint32_t format;                        /* PROCINSPECT_DUMP_FORMAT_… */
    procinspect_cancellation *cancellation; /* nullable: ends the stream from another thread */
    /* Of a zip: 0 stores, 1 is fast, 9 small. What looks random is stored at any level. _init sets
     * PROCINSPECT_ZIP_LEVEL_DEFAULT. */
    uint32_t level;
    /* Of a zip: the most threads that compress, 1 to 32; 0: as many as there are processors. */
    uint32_t workers;
    uint32_t flags; /* of a zip: PROCINSPECT_ZIP_… */
    uint32_t reserved;
    /* Of a zip: support files that would make more than this in all are left out, and the manifest
     * says so; 0: PROCINSPECT_ZIP_SUPPORT_BYTES_DEFAULT. */
    uint64_t max_support_bytes;
} procinspect_dump_stream_options;

/* All zero but for struct_size and level. */
PROCINSPECT_API void procinspect_dump_stream_options_init(procinspect_dump_stream_options *options,
                                                          size_t struct_size);

/*
 * Whether procinspect_stream_open_dump takes these options, which may be NULL: to be asked before a
 * process is stopped for a dump that could not be sent then. Errors: INVALID_ARGUMENT (level,
 * workers, flags), UNSUPPORTED (a format of a later version, or one that the build left out).
 */
PROCINSPECT_API int32_t procinspect_dump_stream_options_check(
    const procinspect_dump_stream_options *options, procinspect_error *error);

/*
 * Opens a stream over a dump; options may be NULL. Any number may be open over one dump. It keeps a
 * reference to the dump, which the caller may free before. Free with procinspect_stream_free.
 * Errors: those of procinspect_dump_stream_options_check, INVALID_ARGUMENT, NO_MEMORY.
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

/* Frees the stream, read to its end or not, and gives up its reference to the dump. A zip's threads
 * are ended and waited for, some milliseconds each at most. NULL does nothing. */
PROCINSPECT_API void procinspect_stream_free(procinspect_stream *stream);

/* The whole length of the stream in bytes, -1 where it can't be known beforehand. */
PROCINSPECT_API int64_t procinspect_stream_size_bytes(const procinspect_stream *stream);

/* How many bytes it has given so far. */
PROCINSPECT_API uint64_t procinspect_stream_position_bytes(const procinspect_stream *stream);

/*
 * For a progress bar, also where the size can't be known: how many bytes of what the stream is made
 * of are in what it has given or is about to give, and of how many. Of a zip those of the dump, of
 * other streams its own. At the end they are the same.
 */
PROCINSPECT_API void procinspect_stream_progress(const procinspect_stream *stream,
                                                 uint64_t *done_bytes, uint64_t *total_bytes);

/* What a zip holds, and what it lacks: borrowed, lives as long as the stream, and never changes.
 * NULL where the stream is no zip, and until its last file, manifest.json, is begun. */
PROCINSPECT_API const procinspect_zip_manifest *
procinspect_stream_zip_manifest(const procinspect_stream *stream);

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
 *
 * From 4 MiB of a raw dump or of bytes on a second thread works beside the calling one, where the
 * system has one to give: each reads a part and writes it. It has all signals blocked, calls
 * nothing of the host's, and has ended when this returns; the two take 1 MiB, of a redacted dump
 * 1.6. A regular file gets the parts in any order, from the descriptor's position on, which stands
 * behind them in the end: nobody else may write there, or behind that, meanwhile. Until then the
 * file's size doesn't tell how much of it is there: where others wait for the whole, write it under
 * another name, and rename it. Where it fails the file is cut off, if it can be made shorter,
 * behind the first part that is missing, or where it ended before. With O_APPEND, and on FUSE, the
 * parts go one behind the other.
 *
 * Errors: INVALID_ARGUMENT, CANCELLED, IO (os_errno says how), NO_MEMORY.
 */
PROCINSPECT_API int32_t procinspect_stream_write_to_descriptor(procinspect_stream *stream,
                                                               int32_t descriptor,
                                                               procinspect_error *error);

#ifdef __cplusplus
}
#endif

#endif
