/* SPDX-License-Identifier: MIT */
#include "zip/zip.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <minizip/zip.h>

#include "base/error.h"
#include "zip/entry_names.h"
#include "zip/output.h"
#include "zip/workers.h"

enum {
    VERSION_MADE_BY = 3 << 8 | 45,     /* Unix, whose modes stand in the attributes; zip64 */
    FLAGS = 1 << 3 | 1 << 11,          /* data descriptors; names are UTF-8 */
    FILE_MODE = 0100600,               /* a regular file of its owner's */
    DESCRIPTOR_SIGNATURE = 0x08074b50, /* "PK\7\8" */
    MINIZIP_BUFFER_BYTES = 64 * 1024,  /* what it may have kept back */
    OUTPUT_BYTES = PI_ZIP_PACKED_BYTES + MINIZIP_BUFFER_BYTES + 4096
};

/* Where what is stored might come to 4 GiB; deflate's headers are far below the difference. */
static const uint64_t zip64_from_bytes = UINT64_C(0xf0000000);

_Static_assert(PI_ZIP_WORKERS_MEMORY_BYTES(PI_ZIP_MAX_WORKERS) + 2 * OUTPUT_BYTES +
                       PI_ZIP_MAX_ENTRIES * (PI_ZIP_NAME_BYTES + 1024) <
                   32 * 1024 * 1024,
               "a zip may take 32 MiB");

struct pi_zip {
    pi_zip_entry *entries;
    pi_zip_name *names;
    uint32_t *crcs; /* of those that are closed */
    size_t entry_count;
    size_t entry_index; /* the one that is open or comes next */
    int level;
    zip_fileinfo file_info;

    zipFile file; /* NULL once it is closed */
    pi_zip_output output;
    pi_zip_workers *workers;
    uint64_t packed_bytes; /* of all entries */

    /* Of the open entry. */
    bool is_open;
    bool is_read; /* to its end */
    bool is_zip64;
    uint64_t begin_bytes; /* of its data in the zip */
    uint64_t read_bytes;  /* all of which is compressed and written once the entry is closed */
    uint32_t crc;         /* of what is written */
};

int32_t pi_zip_check(uint32_t level, uint32_t workers, procinspect_error *error) {
    if (level > PI_ZIP_MAX_LEVEL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "Compression level %u is out of range; use 0 (store) to %d.",
                            (unsigned)level, PI_ZIP_MAX_LEVEL);
    if (workers > PI_ZIP_MAX_WORKERS)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "%u compressing threads are out of range; use 1 to %d, or 0 for as "
                            "many as there are processors.",
                            (unsigned)workers, PI_ZIP_MAX_WORKERS);
    return PROCINSPECT_OK;
}

static size_t count_of_workers(uint32_t asked) {
    if (asked != 0)
        return asked;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (processors < 1)
        return 1;
    return processors < PI_ZIP_MAX_WORKERS ? (size_t)processors : PI_ZIP_MAX_WORKERS;
}

/* UTC: a zip doesn't say which zone its times are in. */
static zip_fileinfo file_info_of(int64_t modified_unix_s) {
    zip_fileinfo info = {.external_fa = (uLong)FILE_MODE << 16};
    time_t modified = (time_t)modified_unix_s;
    struct tm utc;
    if (gmtime_r(&modified, &utc) == NULL || utc.tm_year < 80 || utc.tm_year > 207)
        utc = (struct tm){.tm_mday = 1, .tm_year = 80};
    info.tmz_date.tm_sec = (uInt)utc.tm_sec;
    info.tmz_date.tm_min = (uInt)utc.tm_min;
    info.tmz_date.tm_hour = (uInt)utc.tm_hour;
    info.tmz_date.tm_mday = (uInt)utc.tm_mday;
    info.tmz_date.tm_mon = (uInt)utc.tm_mon;
    info.tmz_date.tm_year = (uInt)utc.tm_year + 1900;
    return info;
}

static bool take_entries(pi_zip *zip, const pi_zip_options *options) {
    zip->entries = calloc(options->entry_count + 1, sizeof *zip->entries);
    zip->names = calloc(options->entry_count + 1, sizeof *zip->names);
    zip->crcs = calloc(options->entry_count + 1, sizeof *zip->crcs);
    if (zip->entries == NULL || zip->names == NULL || zip->crcs == NULL)
        return false;
    zip->entry_count = options->entry_count;
    for (size_t i = 0; i < zip->entry_count; i++) {
        zip->entries[i] = options->entries[i];
        zip->entries[i].name = NULL;
        pi_zip_entry_name_make(zip->names, i, options->entries[i].name);
    }
    return true;
}

int32_t pi_zip_new(const pi_zip_options *options, pi_zip **zip, procinspect_error *error) {
    int32_t code = pi_zip_check(options->level, options->workers, error);
    if (code != PROCINSPECT_OK)
        return code;
    if (options->entry_count > PI_ZIP_MAX_ENTRIES)
        return pi_error_set(error, PROCINSPECT_ERROR_TOO_LARGE, 0,
                            "A zip of %zu files is more than the %d that it may have.",
                            options->entry_count, PI_ZIP_MAX_ENTRIES);
    pi_zip *made = calloc(1, sizeof *made);
    if (made == NULL)
        return pi_error_no_memory(error);
    made->level = (int)options->level;
    made->file_info = file_info_of(options->modified_unix_s);
    made->workers = pi_zip_workers_new(made->level, count_of_workers(options->workers));
    zlib_filefunc64_def functions = pi_zip_output_functions(&made->output);
    if (made->workers != NULL && take_entries(made, options) &&
        pi_buffer_reserve(&made->output.waiting, OUTPUT_BYTES) == 0)
        made->file = zipOpen2_64("", APPEND_STATUS_CREATE, NULL, &functions);
    if (made->file == NULL) {
        pi_zip_free(made);
        return pi_error_no_memory(error);
    }
    *zip = made;
    return PROCINSPECT_OK;
}

void pi_zip_free(pi_zip *zip) {
    if (zip == NULL)
        return;
    pi_zip_workers_free(zip->workers);
    zip->output.is_closed = true;
    if (zip->file != NULL)
        zipClose(zip->file, NULL); /* only frees: the output takes nothing */
    pi_buffer_free(&zip->output.waiting);
    free(zip->entries);
    free(zip->names);
    free(zip->crcs);
    free(zip);
}

/* minizip's own failures are of memory: what it is asked to do is in order, and the output takes
 * all that it has memory for. */
static int32_t check_minizip(int result, procinspect_error *error) {
    return result == ZIP_OK ? PROCINSPECT_OK : pi_error_no_memory(error);
}

/*
 * When it opens an entry minizip (1.2.13, at least) writes to memory that it has just asked for
 * before it looks whether it was given any. So that it is, as much is taken and given back right
 * before: what a thread has freed last is what it is given next of that size, with glibc's malloc
 * and others that keep a cache for each thread. minizip takes a central header, the name, and some
 * room: all sizes up to that are tried, in malloc's steps.
 */
static bool has_room_for_header(const char *name) {
    enum { HEADER_BYTES = 46, MOST_ROOM_BYTES = 64, STEP_BYTES = 16 };
    void *volatile taken[MOST_ROOM_BYTES / STEP_BYTES + 1]; /* volatile: not optimised away */
    size_t count = sizeof taken / sizeof taken[0], given = 0;
    for (size_t i = 0; i < count; i++) {
        taken[i] = malloc(HEADER_BYTES + strlen(name) + i * STEP_BYTES);
        given += taken[i] != NULL;
    }
    for (size_t i = 0; i < count; i++)
        free(taken[i]);
    return given == count;
}

static int32_t open_entry(pi_zip *zip, procinspect_error *error) {
    if (!has_room_for_header(zip->names[zip->entry_index].text))
        return pi_error_no_memory(error);
    zip->is_zip64 = zip->entries[zip->entry_index].max_bytes >= zip64_from_bytes;
    int result = zipOpenNewFileInZip4_64(
        zip->file, zip->names[zip->entry_index].text, &zip->file_info, NULL, 0, NULL, 0, NULL,
        Z_DEFLATED, zip->level, 1, -MAX_WBITS, DEF_MEM_LEVEL, Z_DEFAULT_STRATEGY, NULL, 0,
        VERSION_MADE_BY, FLAGS, zip->is_zip64);
    int32_t code = check_minizip(result, error);
    if (code != PROCINSPECT_OK)
        return code;
    zip->is_open = true;
    zip->is_read = false;
    zip->begin_bytes = zip->output.end_bytes;
    zip->read_bytes = 0;
    zip->crc = 0;
    pi_zip_workers_restart(zip->workers);
    return PROCINSPECT_OK;
}

/* Reads until the block is full or the entry at its end. */
static int32_t fill_block(pi_zip *zip, pi_zip_block *block, procinspect_error *error) {
    const pi_zip_entry *entry = &zip->entries[zip->entry_index];
    while (block->length < PI_ZIP_BLOCK_BYTES) {
        size_t length;
        int32_t code = entry->read(entry->user, block->data + block->length,
                                   PI_ZIP_BLOCK_BYTES - block->length, &length, error);
        if (code != PROCINSPECT_OK)
            return code;
        if (length == 0) {
            zip->is_read = true;
            return PROCINSPECT_OK;
        }
        block->length += length;
        zip->read_bytes += length;
        if (zip->read_bytes > entry->max_bytes)
            return pi_error_set(error, PROCINSPECT_ERROR_IO, 0,
                                "%s became longer while it was read.",
                                zip->names[zip->entry_index].text);
    }
    return PROCINSPECT_OK;
}

/* Gives the workers all that they have room for. */
static int32_t read_ahead(pi_zip *zip, procinspect_error *error) {
    while (!zip->is_read) {
        pi_zip_block *block = pi_zip_workers_next_block(zip->workers);
        if (block == NULL)
            break;
        int32_t code = fill_block(zip, block, error);
        if (code != PROCINSPECT_OK)
            return code;
        if (block->length != 0)
            pi_zip_workers_submit(zip->workers);
    }
    return PROCINSPECT_OK;
}

static unsigned char *put_number(unsigned char *to, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        *to++ = (unsigned char)(value >> 8 * i);
    return to;
}

/* What minizip tried to write into the local header. Sizes have 8 bytes where that one has the
 * zip64 field. */
static bool write_descriptor(pi_zip *zip, uint64_t packed_bytes) {
    unsigned char descriptor[24];
    size_t size_length = zip->is_zip64 ? 8 : 4;
    unsigned char *end = put_number(descriptor, DESCRIPTOR_SIGNATURE, 4);
    end = put_number(end, zip->crc, 4);
    end = put_number(end, packed_bytes, size_length);
    end = put_number(end, zip->read_bytes, size_length);
    return pi_zip_output_write(&zip->output, descriptor, (size_t)(end - descriptor));
}

static int32_t close_entry(pi_zip *zip, procinspect_error *error) {
    int result = zipWriteInFileInZip(zip->file, PI_ZIP_ENTRY_END, PI_ZIP_ENTRY_END_BYTES);
    if (result == ZIP_OK) {
        zip->is_open = false;
        result = zipCloseFileInZipRaw64(zip->file, zip->read_bytes, zip->crc);
    }
    int32_t code = check_minizip(result, error);
    if (code != PROCINSPECT_OK)
        return code;
    if (!write_descriptor(zip, zip->output.end_bytes - zip->begin_bytes))
        return pi_error_no_memory(error);
    zip->crcs[zip->entry_index++] = zip->crc;
    return PROCINSPECT_OK;
}

static int32_t close_zip(pi_zip *zip, procinspect_error *error) {
    zipFile closing = zip->file;
    zip->file = NULL;
    return check_minizip(zipClose(closing, NULL), error);
}

/* One step further; it writes something, or comes closer to. */
static int32_t step(pi_zip *zip, procinspect_error *error) {
    if (!zip->is_open)
        return zip->entry_index < zip->entry_count ? open_entry(zip, error) : close_zip(zip, error);
    int32_t code = read_ahead(zip, error);
    if (code != PROCINSPECT_OK)
        return code;
    const pi_zip_block *block = pi_zip_workers_take(zip->workers);
    if (block == NULL)
        return close_entry(zip, error);
    zip->packed_bytes += block->length;
    zip->crc = (uint32_t)crc32_combine(zip->crc, block->crc, (z_off_t)block->length);
    return check_minizip(
        zipWriteInFileInZip(zip->file, block->packed, (unsigned)block->packed_length), error);
}

int32_t pi_zip_read(pi_zip *zip, void *buffer, size_t capacity, size_t *length,
                    procinspect_error *error) {
    while (pi_zip_output_waiting_bytes(&zip->output) == 0 && zip->file != NULL) {
        int32_t code = step(zip, error);
        if (code != PROCINSPECT_OK)
            return code;
    }
    *length = pi_zip_output_hand_on(&zip->output, buffer, capacity);
    return PROCINSPECT_OK;
}

const char *pi_zip_entry_name(const pi_zip *zip, size_t index) {
    return zip->names[index].text;
}

uint32_t pi_zip_entry_crc(const pi_zip *zip, size_t index) {
    return zip->crcs[index];
}

uint64_t pi_zip_packed_bytes(const pi_zip *zip) {
    return zip->packed_bytes;
}
