/* SPDX-License-Identifier: MIT */
#ifndef TESTS_DUMP_LAID_OUT_H
#define TESTS_DUMP_LAID_OUT_H

#include "dump/image.h"

/*
 * Snapshots made by hand, and the files that come of them. Everything fails the test that calls it
 * where it finds what it should not.
 */

/* A target whose memory is the same at each address for ever. `reads_left` below 0 never fails. */
typedef struct fake_memory {
    pi_memory_source source;
    int reads_left;
} fake_memory;

void fake_memory_init(fake_memory *memory);
unsigned char fake_byte(uint64_t address);

/* A snapshot of an AMD64 process 4711 with nothing in it; add to it. */
pi_snapshot bare_snapshot(fake_memory *memory);

typedef struct laid_out {
    pi_image *image;
    unsigned char *bytes; /* all of the file; NULL where it was only laid out */
    size_t length;
} laid_out;

/* Lays it out and reads it whole. Free with laid_out_free. */
laid_out lay_out(const pi_snapshot *snapshot);
void laid_out_free(laid_out *file);

uint16_t u16_at(const laid_out *file, uint64_t position);
uint32_t u32_at(const laid_out *file, uint64_t position);
uint64_t u64_at(const laid_out *file, uint64_t position);

/* Where a stream is, its size in *size_bytes; 0 where there is none. */
uint32_t stream_at(const laid_out *file, uint32_t type, uint32_t *size_bytes);

/* Where such a stream's first entry is, its header of 16 bytes checked: its own length, an entry's,
 * and `count`, as 64 bits or as 32 and a 0. */
uint64_t first_entry_at(const laid_out *file, uint32_t type, uint32_t entry_bytes, uint64_t count);

/* The string at this position is this text, which is ASCII. */
void assert_string(const laid_out *file, uint32_t rva, const char *text);

/* The file has the fake target's memory of that address there. */
void assert_memory(const laid_out *file, uint64_t position, uint64_t address, size_t length);

#endif
