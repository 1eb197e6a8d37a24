/* SPDX-License-Identifier: MIT */
#include "zip/block.h"

#include <string.h>

#include "zip/random_look.h"

bool pi_zip_compressor_init(pi_zip_compressor *compressor, int level) {
    *compressor = (pi_zip_compressor){.level = level};
    return deflateInit2(&compressor->deflate, level, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL - 1,
                        Z_DEFAULT_STRATEGY) == Z_OK;
}

void pi_zip_compressor_end(pi_zip_compressor *compressor) {
    deflateEnd(&compressor->deflate);
}

static size_t stored_length(size_t length) {
    size_t pieces = (length + PI_ZIP_STORED_PIECE_BYTES - 1) / PI_ZIP_STORED_PIECE_BYTES;
    return length + pieces * PI_ZIP_STORED_HEADER_BYTES;
}

/* By hand: it takes no compressor's state, and each piece ends at a byte by itself. */
static void store(pi_zip_block *block) {
    unsigned char *to = block->packed;
    for (size_t done = 0; done < block->length;) {
        size_t left = block->length - done;
        size_t piece = left < PI_ZIP_STORED_PIECE_BYTES ? left : PI_ZIP_STORED_PIECE_BYTES;
        *to++ = 0; /* not the last, of type 0 */
        *to++ = (unsigned char)piece;
        *to++ = (unsigned char)(piece >> 8);
        *to++ = (unsigned char)~piece;
        *to++ = (unsigned char)(~piece >> 8);
        memcpy(to, block->data + done, piece);
        to += piece;
        done += piece;
    }
    block->packed_length = (size_t)(to - block->packed);
}

/* False where storing takes less. */
static bool deflate_block(z_stream *state, pi_zip_block *block) {
    size_t capacity = stored_length(block->length);
    if (deflateReset(state) != Z_OK)
        return false;
    const unsigned char *before = block->data - block->window_length;
    if (block->window_length != 0 &&
        deflateSetDictionary(state, before, (uInt)block->window_length) != Z_OK)
        return false;
    state->next_in = block->data;
    state->avail_in = (uInt)block->length;
    state->next_out = block->packed;
    state->avail_out = (uInt)capacity;
    int result = deflate(state, Z_SYNC_FLUSH);
    block->packed_length = capacity - state->avail_out;
    return result == Z_OK && state->avail_in == 0 && state->avail_out != 0;
}

static bool is_whole_and_zero(const pi_zip_block *block) {
    return block->length == PI_ZIP_BLOCK_BYTES && block->data[0] == 0 &&
           memcmp(block->data, block->data + 1, PI_ZIP_BLOCK_BYTES - 1) == 0;
}

void pi_zip_block_pack(pi_zip_compressor *compressor, const pi_zip_zero_block *zeros,
                       pi_zip_block *block) {
    if (zeros->packed_length != 0 && is_whole_and_zero(block)) {
        memcpy(block->packed, zeros->packed, zeros->packed_length);
        block->packed_length = zeros->packed_length;
        block->crc = zeros->crc;
        return;
    }
    block->crc = (uint32_t)crc32_z(0, block->data, block->length);
    if (compressor->level == 0 || pi_zip_looks_random(block->data, block->length) ||
        !deflate_block(&compressor->deflate, block))
        store(block);
}

bool pi_zip_zero_block_make(pi_zip_block *scratch, pi_zip_zero_block *zeros) {
    pi_zip_compressor compressor;
    *zeros = (pi_zip_zero_block){0};
    if (!pi_zip_compressor_init(&compressor, Z_BEST_COMPRESSION))
        return false;
    memset(scratch->data, 0, PI_ZIP_BLOCK_BYTES);
    scratch->length = PI_ZIP_BLOCK_BYTES;
    scratch->window_length = 0;
    pi_zip_block_pack(&compressor, zeros, scratch);
    pi_zip_compressor_end(&compressor);
    if (scratch->packed_length > sizeof zeros->packed)
        return true; /* another zlib, less good at it: they are compressed like the rest */
    memcpy(zeros->packed, scratch->packed, scratch->packed_length);
    zeros->packed_length = scratch->packed_length;
    zeros->crc = scratch->crc;
    return true;
}
