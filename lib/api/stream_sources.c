/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "api/dump.h"
#include "api/stream.h"
#include "base/error.h"
#include "base/options.h"
#include "zip/zip.h"

/* A dump as it is. */
typedef struct dump_source {
    pi_stream_source base;
    procinspect_dump *dump;
} dump_source;

static int32_t read_dump_at(const pi_stream_source *base, uint64_t offset_bytes, void *buffer,
                            size_t capacity, size_t *length, procinspect_error *error) {
    const dump_source *source = (const dump_source *)base;
    return procinspect_dump_read_at(source->dump, offset_bytes, buffer, capacity, length, error);
}

static void release_dump(pi_stream_source *base) {
    dump_source *source = (dump_source *)base;
    procinspect_dump_free(source->dump);
    free(source);
}

static int32_t open_raw(procinspect_dump *dump, const procinspect_dump_stream_options *options,
                        procinspect_stream **stream, procinspect_error *error) {
    dump_source *source = malloc(sizeof *source);
    if (source == NULL)
        return pi_error_no_memory(error);
    *source = (dump_source){.base = {.read_at = read_dump_at, .release = release_dump},
                            .dump = pi_dump_retain(dump)};
    return pi_stream_new(&source->base, (int64_t)procinspect_dump_size_bytes(dump),
                         options->cancellation, stream, error);
}

void procinspect_dump_stream_options_init(procinspect_dump_stream_options *options,
                                          size_t struct_size) {
    pi_options_init(options, struct_size);
    if (options != NULL && struct_size >= PI_SIZE_THROUGH(procinspect_dump_stream_options, level))
        options->level = PROCINSPECT_ZIP_LEVEL_DEFAULT;
}

/* A struct of before there were zips has no level. */
static int32_t take_options(const procinspect_dump_stream_options *given,
                            procinspect_dump_stream_options *known, procinspect_error *error) {
    int32_t code = pi_options_take(given, known, sizeof *known,
                                   PI_SIZE_THROUGH(procinspect_dump_stream_options, cancellation),
                                   "procinspect_dump_stream_options", error);
    if (code != PROCINSPECT_OK)
        return code;
    if (given == NULL ||
        given->struct_size < PI_SIZE_THROUGH(procinspect_dump_stream_options, level))
        known->level = PROCINSPECT_ZIP_LEVEL_DEFAULT;
    uint32_t unknown =
        known->flags & ~(PROCINSPECT_ZIP_NO_SUPPORT_FILES | PROCINSPECT_ZIP_FROM_TARGET);
    if (unknown != 0 || known->reserved != 0)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_dump_stream_options: flags has unknown bits (0x%x) or "
                            "reserved is not 0; leave them as _init does.",
                            (unsigned)unknown);
    switch (known->format) {
    case PROCINSPECT_DUMP_FORMAT_RAW:
        return PROCINSPECT_OK;
    case PROCINSPECT_DUMP_FORMAT_ZIP:
        return pi_zip_check(known->level, known->workers, error);
    default:
        return pi_error_set(error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
                            "Dump format %u is not supported by this version; it has "
                            "PROCINSPECT_DUMP_FORMAT_RAW (0) and PROCINSPECT_DUMP_FORMAT_ZIP (1).",
                            (unsigned)known->format);
    }
}

int32_t procinspect_dump_stream_options_check(const procinspect_dump_stream_options *options,
                                              procinspect_error *error) {
    procinspect_dump_stream_options known;
    return take_options(options, &known, error);
}

int32_t procinspect_stream_open_dump(procinspect_dump *dump,
                                     const procinspect_dump_stream_options *options,
                                     procinspect_stream **stream, procinspect_error *error) {
    procinspect_dump_stream_options known;
    if (dump == NULL || stream == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_stream_open_dump: dump or stream is NULL.");
    int32_t code = take_options(options, &known, error);
    if (code != PROCINSPECT_OK)
        return code;
    return known.format == PROCINSPECT_DUMP_FORMAT_ZIP
               ? pi_stream_open_zip(dump, &known, stream, error)
               : open_raw(dump, &known, stream, error);
}

/* A copy of bytes, which stand behind the struct. */
typedef struct bytes_source {
    pi_stream_source base;
    size_t length;
    unsigned char bytes[];
} bytes_source;

static int32_t read_bytes_at(const pi_stream_source *base, uint64_t offset_bytes, void *buffer,
                             size_t capacity, size_t *length, procinspect_error *error) {
    (void)error;
    const bytes_source *source = (const bytes_source *)base;
    size_t left = source->length - (size_t)offset_bytes;
    *length = left < capacity ? left : capacity;
    memcpy(buffer, source->bytes + offset_bytes, *length);
    return PROCINSPECT_OK;
}

static void release_bytes(pi_stream_source *base) {
    free(base);
}

int32_t procinspect_stream_open_bytes(const void *bytes, size_t length, procinspect_stream **stream,
                                      procinspect_error *error) {
    if ((bytes == NULL && length != 0) || stream == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_stream_open_bytes: bytes or stream is NULL.");
    bytes_source *source =
        length > INT64_MAX - sizeof *source ? NULL : malloc(sizeof *source + length);
    if (source == NULL)
        return pi_error_no_memory(error);
    source->base = (pi_stream_source){.read_at = read_bytes_at, .release = release_bytes};
    source->length = length;
    if (length != 0)
        memcpy(source->bytes, bytes, length);
    return pi_stream_new(&source->base, (int64_t)length, NULL, stream, error);
}
