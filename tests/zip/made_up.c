/* SPDX-License-Identifier: MIT */
#include "zip/made_up.h"

#include <string.h>

#include "base/error.h"

void made_up_init(made_up *bytes, made_up_kind kind, uint64_t size_bytes) {
    memset(bytes, 0, sizeof *bytes);
    bytes->kind = kind;
    bytes->size_bytes = size_bytes;
    bytes->fails_at = UINT64_MAX;
    bytes->chunk_index = UINT64_MAX;
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Instructions: a few opcodes are common, registers less so, and every third has an operand, small
 * or a nearby address. */
static size_t put_instruction(unsigned char *to, uint64_t *state, uint64_t position) {
    static const unsigned char opcodes[16] = {0x48, 0x89, 0x8b, 0xe8, 0x0f, 0x85, 0x83, 0x8d,
                                              0x4c, 0x74, 0x31, 0xc0, 0xff, 0x55, 0x5d, 0xc3};
    uint64_t choice = next_random(state);
    size_t length = 0;
    to[length++] = opcodes[(choice & 15) & (choice >> 4 & 15)];
    to[length++] = opcodes[choice >> 8 & 15];
    to[length++] = (unsigned char)(0xc0 | (choice >> 12 & 0x1f));
    if (choice >> 20 & 1)
        to[length++] = (unsigned char)(choice >> 21 & 0x78);
    if ((choice >> 32) % 3 == 0) {
        uint32_t operand = (uint32_t)(position + (choice >> 36 & 0xfff));
        memcpy(to + length, &operand, sizeof operand);
        length += sizeof operand;
    }
    return length;
}

static void make_code(unsigned char *chunk, uint64_t *state, uint64_t position) {
    size_t made = 0;
    while (made + 16 < MADE_UP_CHUNK_BYTES) {
        size_t back = 64 + next_random(state) % 8192;
        size_t length = 6 + next_random(state) % 12;
        if (next_random(state) % 3 == 0 && back < made &&
            made + length + 16 < MADE_UP_CHUNK_BYTES && length <= back) {
            memcpy(chunk + made, chunk + made - back, length);
            made += length;
        } else {
            made += put_instruction(chunk + made, state, position + made);
        }
    }
    memset(chunk + made, 0xcc, MADE_UP_CHUNK_BYTES - made);
}

static made_up_kind kind_at(made_up_kind kind, uint64_t position) {
    static const made_up_kind runs[] = {MADE_UP_CODE, MADE_UP_ZEROS, MADE_UP_RANDOM, MADE_UP_ZEROS};
    return kind == MADE_UP_IMAGE ? runs[position / (256 * 1024) % 4] : kind;
}

static void make_chunk(made_up *bytes, uint64_t index) {
    uint64_t state = (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t position = index * MADE_UP_CHUNK_BYTES;
    made_up_kind kind = kind_at(bytes->kind, position);
    bytes->chunk_index = index;
    if (kind == MADE_UP_CODE)
        make_code(bytes->chunk, &state, position);
    else if (kind == MADE_UP_ZEROS)
        memset(bytes->chunk, 0, sizeof bytes->chunk);
    else
        for (size_t i = 0; i < MADE_UP_CHUNK_BYTES; i += sizeof state) {
            next_random(&state);
            memcpy(bytes->chunk + i, &state, sizeof state);
        }
}

void made_up_copy(made_up *bytes, uint64_t position, void *buffer, size_t length) {
    if (bytes->kind == MADE_UP_ZEROS) {
        memset(buffer, 0, length);
        return;
    }
    for (size_t done = 0; done < length;) {
        uint64_t index = (position + done) / MADE_UP_CHUNK_BYTES;
        size_t offset = (size_t)((position + done) % MADE_UP_CHUNK_BYTES);
        size_t part = MADE_UP_CHUNK_BYTES - offset;
        part = part < length - done ? part : length - done;
        if (bytes->chunk_index != index)
            make_chunk(bytes, index);
        memcpy((unsigned char *)buffer + done, bytes->chunk + offset, part);
        done += part;
    }
}

int32_t made_up_read(void *user, void *buffer, size_t capacity, size_t *length,
                     procinspect_error *error) {
    made_up *bytes = user;
    bytes->reads++;
    uint64_t left = bytes->size_bytes - bytes->position;
    size_t taken = left < capacity ? (size_t)left : capacity;
    if (bytes->most != 0 && taken > bytes->most)
        taken = bytes->most;
    if (bytes->fails_at - bytes->position < taken)
        return pi_error_set(error, PROCINSPECT_ERROR_IO, 5, "The source broke.");
    made_up_copy(bytes, bytes->position, buffer, taken);
    bytes->position += taken;
    *length = taken;
    return PROCINSPECT_OK;
}

pi_zip_entry made_up_entry(const char *name, made_up *bytes) {
    return (pi_zip_entry){name, bytes->size_bytes, made_up_read, bytes};
}
