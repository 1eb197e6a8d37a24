/* SPDX-License-Identifier: MIT */
#ifndef PI_DUMP_IMAGE_H
#define PI_DUMP_IMAGE_H

#include "dump/redaction.h"
#include "model/snapshot.h"

/*
 * A file that is never written: an ordered list of pieces, each either bytes in memory or a range
 * of the target's memory, read from the snapshot's source when somebody asks for it. Its layout is
 * final once it is made, and reading is safe from several threads at a time.
 */
typedef struct pi_image pi_image;

uint64_t pi_image_size_bytes(const pi_image *image);

/* As procinspect_dump_read_at. */
int32_t pi_image_read_at(const pi_image *image, uint64_t offset, void *buffer, size_t capacity,
                         size_t *length, procinspect_error *error);

/* From now on the file is read with these values masked. Borrowed: it must outlive the image. */
void pi_image_redact(pi_image *image, const pi_redaction *redaction);

void pi_image_free(pi_image *image);

/* Texts about the dump itself, each in a stream of its own; an empty one has none. */
typedef struct pi_dump_texts {
    pi_bytes report;
    pi_bytes soft_errors;
} pi_dump_texts;

/*
 * Lays the snapshot out as a minidump. The image borrows the snapshot, which must outlive it. The
 * texts, which may be NULL, are copied. Errors: TOO_LARGE (above max_bytes, unless that is 0; or a
 * stack that would stand above 4 GiB), NO_MEMORY.
 */
int32_t pi_minidump_lay_out(const pi_snapshot *snapshot, const pi_dump_texts *texts,
                            uint64_t max_bytes, pi_image **image, procinspect_error *error);

/* What a minidump takes at the least of which only the type, the texts, the handles and the number
 * of threads are known yet: to be asked before the process is stopped for one that would be
 * refused. */
uint64_t pi_minidump_least_bytes(const pi_snapshot *beforehand);

#endif
