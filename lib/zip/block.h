/* SPDX-License-Identifier: MIT */
#ifndef PI_ZIP_BLOCK_H
#define PI_ZIP_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zlib.h>

/*
 * Part of an entry that is compressed by itself. It is raw deflate that begins and ends at a byte
 * and isn't the last of its entry, so that blocks just follow one another; PI_ZIP_ENTRY_END ends
 * them. Back references reach into the window before the block.
 */
enum {
    PI_ZIP_WINDOW_BYTES = 32 * 1024,
    PI_ZIP_BLOCK_BYTES = 128 * 1024,
    PI_ZIP_STORED_PIECE_BYTES = 65535, /* the most that one of deflate's stored blocks holds */
    PI_ZIP_STORED_HEADER_BYTES = 5,
    PI_ZIP_STORED_PIECES =
        (PI_ZIP_BLOCK_BYTES + PI_ZIP_STORED_PIECE_BYTES - 1) / PI_ZIP_STORED_PIECE_BYTES,
    PI_ZIP_PACKED_BYTES = PI_ZIP_BLOCK_BYTES + PI_ZIP_STORED_PIECES * PI_ZIP_STORED_HEADER_BYTES
};

typedef struct pi_zip_block {
    unsigned char *window; /* PI_ZIP_WINDOW_BYTES: what came before the block stands at its end */
    size_t window_length;
    unsigned char *data; /* PI_ZIP_BLOCK_BYTES, right behind the window */
    size_t length;
    unsigned char *packed; /* PI_ZIP_PACKED_BYTES */
    size_t packed_length;
    uint32_t crc;
} pi_zip_block;

/* The last of an entry's blocks, an empty one. */
#define PI_ZIP_ENTRY_END "\x03\x00"
enum { PI_ZIP_ENTRY_END_BYTES = 2 };

/* What one thread compresses with. */
typedef struct pi_zip_compressor {
    z_stream deflate;
    int level;
} pi_zip_compressor;

/* False when out of memory; it takes no more later. */
bool pi_zip_compressor_init(pi_zip_compressor *compressor, int level);
void pi_zip_compressor_end(pi_zip_compressor *compressor);

/* A whole block of zeros, compressed: the commonest block of a memory image. All zero: there is
 * none. */
typedef struct pi_zip_zero_block {
    unsigned char packed[256];
    size_t packed_length;
    uint32_t crc;
} pi_zip_zero_block;

/* As small as it gets, whatever the level. By means of a block that isn't in use; false when out of
 * memory. */
bool pi_zip_zero_block_make(pi_zip_block *scratch, pi_zip_zero_block *zeros);

/* Fills packed, packed_length and crc. */
void pi_zip_block_pack(pi_zip_compressor *compressor, const pi_zip_zero_block *zeros,
                       pi_zip_block *block);

#endif
