/* SPDX-License-Identifier: MIT */
#ifndef PI_ZIP_ZIP_H
#define PI_ZIP_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include <procinspect/error.h>

/*
 * A zip that is never written: its bytes are made while they are read, in order, from entries that
 * are read in order too. Who wants it pushed reads and pushes. It needs nothing that can seek: each
 * entry's sizes stand in a data descriptor behind it, and the central directory comes last, so a
 * zip that broke off has none.
 *
 * Blocks of an entry are compressed by threads, of which the first starts when the first block is
 * read. They have all signals blocked and call nothing of the host's: entries are read by the
 * thread that reads the zip. They have work for as long as the zip is read: no more than two blocks
 * for each, and two, are ahead of the reader. Where the system has no thread to give it is made
 * with fewer, without any by the reading thread.
 */
typedef struct pi_zip pi_zip;

typedef struct pi_zip_entry {
    /* As it is wished: made safe and unique, see entry_names.h. Not kept. */
    const char *name;
    /* The most that read gives in all; one that gives more fails. From about 4 GiB on the entry
     * gets the zip64 form, which some readers of Windows only know of large files. */
    uint64_t max_bytes;
    /* The next bytes, up to capacity (not 0); *length 0 only at the end. A failure is the zip's. */
    int32_t (*read)(void *user, void *buffer, size_t capacity, size_t *length,
                    procinspect_error *error);
    void *user;
} pi_zip_entry;

enum {
    PI_ZIP_MAX_LEVEL = 9,    /* 0 stores, 1 is the fastest of zlib's, 9 the smallest */
    PI_ZIP_MAX_WORKERS = 32, /* as many as have room in 32 MiB with their blocks */
    PI_ZIP_MAX_ENTRIES = 1000
};

typedef struct pi_zip_options {
    const pi_zip_entry *entries; /* copied */
    size_t entry_count;          /* up to PI_ZIP_MAX_ENTRIES */
    uint32_t level;              /* up to PI_ZIP_MAX_LEVEL */
    uint32_t workers;            /* 1 to PI_ZIP_MAX_WORKERS; 0: as many as there are processors */
    int64_t modified_unix_s; /* of all entries; a zip knows 1980 to 2107, and two-second steps */
} pi_zip_options;

/* Whether pi_zip_new takes this level and these workers. Errors: INVALID_ARGUMENT; UNSUPPORTED
 * where the build left zips out. */
int32_t pi_zip_check(uint32_t level, uint32_t workers, procinspect_error *error);

/* Takes the memory that the zip needs, but starts nothing and reads nothing. Errors: those of
 * pi_zip_check, NO_MEMORY. */
int32_t pi_zip_new(const pi_zip_options *options, pi_zip **zip, procinspect_error *error);

/* The next bytes, up to capacity (not 0); *length 0 only at the end. After a failure, an entry's or
 * NO_MEMORY, it must not be read again. */
int32_t pi_zip_read(pi_zip *zip, void *buffer, size_t capacity, size_t *length,
                    procinspect_error *error);

/* How many bytes of the entries are in what has been read of the zip, or comes next. */
uint64_t pi_zip_packed_bytes(const pi_zip *zip);

/* The name that an entry has in the zip, valid as long as that. */
const char *pi_zip_entry_name(const pi_zip *zip, size_t index);
/* The checksum of an entry's bytes; 0 before it is closed, which it is when the next is first read.
 */
uint32_t pi_zip_entry_crc(const pi_zip *zip, size_t index);

/* Ends the threads, which may take as long as compressing a block does. NULL does nothing. */
void pi_zip_free(pi_zip *zip);

#endif
