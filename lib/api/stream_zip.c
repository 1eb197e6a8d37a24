/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "api/dump.h"
#include "api/stream.h"
#include "base/error.h"
#include "zip/zip.h"

/* A dump and what a zip makes of it. */
typedef struct zip_source {
    pi_stream_source base;
    procinspect_dump *dump;
    uint64_t offset_bytes; /* how far the zip has read the dump */
    pi_zip *zip;
} zip_source;

static int32_t read_zip(pi_stream_source *base, void *buffer, size_t capacity, size_t *length,
                        procinspect_error *error) {
    return pi_zip_read(((zip_source *)base)->zip, buffer, capacity, length, error);
}

static void release_zip(pi_stream_source *base) {
    zip_source *source = (zip_source *)base;
    pi_zip_free(source->zip);
    procinspect_dump_free(source->dump);
    free(source);
}

static void progress_of_zip(const pi_stream_source *base, uint64_t *done_bytes,
                            uint64_t *total_bytes) {
    const zip_source *source = (const zip_source *)base;
    *done_bytes = pi_zip_packed_bytes(source->zip);
    *total_bytes = procinspect_dump_size_bytes(source->dump);
}

/* For the entry minidump.dmp. */
static int32_t read_dump(void *user, void *buffer, size_t capacity, size_t *length,
                         procinspect_error *error) {
    zip_source *source = user;
    int32_t code = procinspect_dump_read_at(source->dump, source->offset_bytes, buffer, capacity,
                                            length, error);
    if (code == PROCINSPECT_OK)
        source->offset_bytes += *length;
    return code;
}

int32_t pi_stream_open_zip(procinspect_dump *dump, const procinspect_dump_stream_options *options,
                           procinspect_stream **stream, procinspect_error *error) {
    zip_source *source = malloc(sizeof *source);
    if (source == NULL)
        return pi_error_no_memory(error);
    *source = (zip_source){
        .base = {.read = read_zip, .release = release_zip, .progress = progress_of_zip}};
    pi_zip_entry dump_entry = {.name = "minidump.dmp",
                               .max_bytes = procinspect_dump_size_bytes(dump),
                               .read = read_dump,
                               .user = source};
    pi_zip_options zip_options = {
        .entries = &dump_entry,
        .entry_count = 1,
        .level = options->level,
        .workers = options->workers,
        .modified_unix_s =
            procinspect_dump_report_get(dump)->captured_at_unix_ns / (1000 * 1000 * 1000),
    };
    int32_t code = pi_zip_new(&zip_options, &source->zip, error);
    if (code != PROCINSPECT_OK) {
        free(source);
        return code;
    }
    source->dump = pi_dump_retain(dump);
    return pi_stream_new(&source->base, PI_STREAM_SIZE_UNKNOWN, options->cancellation, stream,
                         error);
}
