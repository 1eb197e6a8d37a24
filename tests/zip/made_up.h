/* SPDX-License-Identifier: MIT */
#ifndef TESTS_ZIP_MADE_UP_H
#define TESTS_ZIP_MADE_UP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zip/zip.h"

/* Bytes that are made up when they are read: every byte depends on kind and position alone. */
enum { MADE_UP_CHUNK_BYTES = 64 * 1024 };

typedef enum made_up_kind {
    MADE_UP_ZEROS,
    MADE_UP_RANDOM,
    MADE_UP_CODE, /* about as compressible as machine code */
    MADE_UP_IMAGE /* of memory: in runs of 256 KiB two of zeros, one random, one of code */
} made_up_kind;

typedef struct made_up {
    made_up_kind kind;
    uint64_t size_bytes;
    uint64_t fails_at; /* the read that would give this byte fails; UINT64_MAX: none */
    size_t most;       /* that a read gives; 0: what is asked for */
    uint64_t position;
    uint64_t reads;
    uint64_t chunk_index; /* of what is in chunk; UINT64_MAX: nothing */
    unsigned char chunk[MADE_UP_CHUNK_BYTES];
} made_up;

void made_up_init(made_up *bytes, made_up_kind kind, uint64_t size_bytes);

/* As an entry's source; user is a made_up. */
int32_t made_up_read(void *user, void *buffer, size_t capacity, size_t *length,
                     procinspect_error *error);

/* The bytes at any position. */
void made_up_copy(made_up *bytes, uint64_t position, void *buffer, size_t length);

pi_zip_entry made_up_entry(const char *name, made_up *bytes);

#endif
