/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <procinspect/json.h>

#include "api/dump.h"
#include "api/stream.h"
#include "api/zip_support.h"
#include "base/error.h"
#include "zip/zip.h"

enum {
    DUMP_ENTRY = 0,
    FIRST_SUPPORT_ENTRY = 1,
    MOST_ENTRIES = 2 + PI_ZIP_SUPPORT_FILES,
    MOST_ITEMS = 1 + PI_ZIP_SUPPORT_ITEMS,
    /* 32 files with two paths of 4 KiB at most, each byte of which may take six as JSON. */
    MOST_MANIFEST_BYTES = 8 * 1024 * 1024
};

/* A dump and what a zip makes of it. The root of an arena, which holds the manifest. */
typedef struct zip_source {
    pi_stream_source base;
    procinspect_dump *dump;
    uint64_t offset_bytes; /* how far the zip has read the dump */
    pi_zip *zip;
    pi_zip_support support;
    pi_support_search *search; /* while it is opened */
    procinspect_zip_file dump_line;
    const procinspect_zip_file *lines[MOST_ITEMS];
    procinspect_zip_manifest manifest;
    const procinspect_json *json; /* the manifest's text; NULL before it is begun */
    size_t json_offset;
} zip_source;

static int32_t read_zip(pi_stream_source *base, void *buffer, size_t capacity, size_t *length,
                        procinspect_error *error) {
    return pi_zip_read(((zip_source *)base)->zip, buffer, capacity, length, error);
}

static void release_zip(pi_stream_source *base) {
    zip_source *source = (zip_source *)base;
    pi_zip_free(source->zip);
    pi_zip_support_close(&source->support);
    pi_support_search_close(source->search);
    procinspect_json_free(source->json);
    procinspect_dump_free(source->dump);
    pi_arena_free_root(source);
}

/* The dump is the first entry: whatever else is packed comes when all of it is. */
static void progress_of_zip(const pi_stream_source *base, uint64_t *done_bytes,
                            uint64_t *total_bytes) {
    const zip_source *source = (const zip_source *)base;
    uint64_t packed = pi_zip_packed_bytes(source->zip);
    *total_bytes = procinspect_dump_size_bytes(source->dump);
    *done_bytes = packed < *total_bytes ? packed : *total_bytes;
}

static const procinspect_zip_manifest *manifest_of_zip(const pi_stream_source *base) {
    const zip_source *source = (const zip_source *)base;
    return source->json != NULL ? &source->manifest : NULL;
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

/* All entries before it are closed by now. */
static int32_t make_manifest(zip_source *source, procinspect_error *error) {
    const procinspect_dump_report *report = procinspect_dump_report_get(source->dump);
    pi_zip_support *support = &source->support;
    source->dump_line = (procinspect_zip_file){
        .name = pi_zip_entry_name(source->zip, DUMP_ENTRY),
        .size_bytes = source->offset_bytes,
        .crc32 = pi_zip_entry_crc(source->zip, DUMP_ENTRY),
        .state = PROCINSPECT_ZIP_FILE_WHOLE,
    };
    source->lines[0] = &source->dump_line;
    for (size_t i = 0; i < support->count; i++) {
        procinspect_zip_file *line = &support->items[i]->line;
        if (i < support->file_count) {
            line->name = pi_zip_entry_name(source->zip, FIRST_SUPPORT_ENTRY + i);
            line->crc32 = pi_zip_entry_crc(source->zip, FIRST_SUPPORT_ENTRY + i);
        }
        source->lines[1 + i] = line;
    }
    source->manifest = (procinspect_zip_manifest){
        .items = source->lines,
        .count = 1 + support->count,
        .pid = report->pid,
        .more_count = support->more_count,
        .captured_at_unix_ns = report->captured_at_unix_ns,
    };
    procinspect_json_options options;
    procinspect_json_options_init(&options, sizeof options);
    options.flags = PROCINSPECT_JSON_INDENT;
    return procinspect_json_zip_manifest(&source->manifest, &options, &source->json, error);
}

/* For the entry manifest.json. */
static int32_t read_manifest(void *user, void *buffer, size_t capacity, size_t *length,
                             procinspect_error *error) {
    zip_source *source = user;
    if (source->json == NULL) {
        int32_t code = make_manifest(source, error);
        if (code != PROCINSPECT_OK)
            return code;
    }
    size_t left = source->json->length_bytes - source->json_offset;
    *length = left < capacity ? left : capacity;
    memcpy(buffer, source->json->text + source->json_offset, *length);
    source->json_offset += *length;
    return PROCINSPECT_OK;
}

static int32_t find_support(zip_source *source, const procinspect_dump_stream_options *options,
                            procinspect_error *error) {
    if ((options->flags & PROCINSPECT_ZIP_NO_SUPPORT_FILES) != 0)
        return PROCINSPECT_OK;
    bool from_target = (options->flags & PROCINSPECT_ZIP_FROM_TARGET) != 0;
    uint64_t max_bytes = options->max_support_bytes != 0 ? options->max_support_bytes
                                                         : PROCINSPECT_ZIP_SUPPORT_BYTES_DEFAULT;
    int32_t code = pi_support_search_open(pi_dump_support_origin(source->dump), from_target,
                                          &source->search, error);
    if (code != PROCINSPECT_OK)
        return code;
    code = pi_zip_support_find(&source->support, pi_dump_modules(source->dump), source->search,
                               max_bytes, error);
    pi_support_search_close(source->search);
    source->search = NULL;
    return code;
}

static int32_t open_zip(zip_source *source, const procinspect_dump_stream_options *options,
                        procinspect_error *error) {
    pi_zip_entry entries[MOST_ENTRIES] = {{.name = "minidump.dmp",
                                           .max_bytes = procinspect_dump_size_bytes(source->dump),
                                           .read = read_dump,
                                           .user = source}};
    size_t count = FIRST_SUPPORT_ENTRY;
    for (size_t i = 0; i < source->support.file_count; i++)
        entries[count++] = pi_zip_support_entry(source->support.items[i]);
    entries[count++] = (pi_zip_entry){.name = "manifest.json",
                                      .max_bytes = MOST_MANIFEST_BYTES,
                                      .read = read_manifest,
                                      .user = source};
    pi_zip_options zip_options = {
        .entries = entries,
        .entry_count = count,
        .level = options->level,
        .workers = options->workers,
        .modified_unix_s =
            procinspect_dump_report_get(source->dump)->captured_at_unix_ns / (1000 * 1000 * 1000),
    };
    return pi_zip_new(&zip_options, &source->zip, error);
}

int32_t pi_stream_open_zip(procinspect_dump *dump, const procinspect_dump_stream_options *options,
                           procinspect_stream **stream, procinspect_error *error) {
    pi_arena *arena = pi_arena_new(sizeof(zip_source), MOST_MANIFEST_BYTES);
    if (arena == NULL)
        return pi_error_no_memory(error);
    zip_source *source = pi_arena_root(arena);
    *source = (zip_source){.base = {.read = read_zip,
                                    .release = release_zip,
                                    .progress = progress_of_zip,
                                    .manifest = manifest_of_zip},
                           .dump = pi_dump_retain(dump),
                           .support = {.arena = arena}};
    int32_t code = find_support(source, options, error);
    if (code == PROCINSPECT_OK)
        code = open_zip(source, options, error);
    if (code != PROCINSPECT_OK) {
        release_zip(&source->base);
        return code;
    }
    return pi_stream_new(&source->base, PI_STREAM_SIZE_UNKNOWN, options->cancellation, stream,
                         error);
}
