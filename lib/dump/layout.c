/* SPDX-License-Identifier: MIT */
#include "dump/layout.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { FIRST_BYTES = 16 * 1024, FIRST_PIECES = 64 };

void pi_layout_begin(pi_layout *layout, const pi_memory_source *source) {
    *layout = (pi_layout){.source = source};
}

void pi_layout_fail(pi_layout *layout, int32_t code) {
    if (layout->failure == 0)
        layout->failure = code;
}

/* An array with room for at least `needed` items; NULL leaves the old one as it was. */
static void *grown(void *items, size_t *capacity, size_t needed, size_t first, size_t item_size) {
    if (needed <= *capacity)
        return items;
    size_t larger = *capacity == 0 ? first : *capacity;
    while (larger < needed && larger <= SIZE_MAX / 2 / item_size)
        larger *= 2;
    void *result = larger < needed ? NULL : realloc(items, larger * item_size);
    if (result != NULL)
        *capacity = larger;
    return result;
}

static pi_piece *add_piece(pi_layout *layout, pi_piece_kind kind, uint64_t size_bytes) {
    if (layout->failure != 0)
        return NULL;
    if (size_bytes > UINT64_MAX - layout->position) {
        pi_layout_fail(layout, PROCINSPECT_ERROR_TOO_LARGE);
        return NULL;
    }
    pi_piece *pieces = grown(layout->pieces, &layout->piece_capacity, layout->piece_count + 1,
                             FIRST_PIECES, sizeof *pieces);
    if (pieces == NULL) {
        pi_layout_fail(layout, PROCINSPECT_ERROR_NO_MEMORY);
        return NULL;
    }
    layout->pieces = pieces;
    pi_piece *piece = &pieces[layout->piece_count++];
    *piece = (pi_piece){.position = layout->position, .size_bytes = size_bytes, .kind = kind};
    layout->position += size_bytes;
    return piece;
}

/* Room for this many own bytes at the end of the file; NULL once the layout has failed. */
static unsigned char *append(pi_layout *layout, size_t length) {
    if (layout->failure != 0)
        return NULL;
    unsigned char *bytes = length > SIZE_MAX - layout->own_length
                               ? NULL
                               : grown(layout->own_bytes, &layout->own_capacity,
                                       layout->own_length + length, FIRST_BYTES, 1);
    if (bytes == NULL) {
        pi_layout_fail(layout, PROCINSPECT_ERROR_NO_MEMORY);
        return NULL;
    }
    layout->own_bytes = bytes;
    pi_piece *last = layout->piece_count == 0 ? NULL : &layout->pieces[layout->piece_count - 1];
    if (last != NULL && last->kind == PI_PIECE_OWN) {
        last->size_bytes += length;
        layout->position += length;
    } else {
        last = add_piece(layout, PI_PIECE_OWN, length);
        if (last == NULL)
            return NULL;
        last->begin = layout->own_length;
    }
    unsigned char *result = bytes + layout->own_length;
    layout->own_length += length;
    return result;
}

static void store(unsigned char *bytes, uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
}

static void append_number(pi_layout *layout, uint64_t value, unsigned size) {
    unsigned char *bytes = append(layout, size);
    if (bytes != NULL)
        store(bytes, value, size);
}

void pi_layout_u8(pi_layout *layout, uint8_t value) {
    append_number(layout, value, 1);
}

void pi_layout_u16(pi_layout *layout, uint16_t value) {
    append_number(layout, value, 2);
}

void pi_layout_u32(pi_layout *layout, uint32_t value) {
    append_number(layout, value, 4);
}

void pi_layout_u64(pi_layout *layout, uint64_t value) {
    append_number(layout, value, 8);
}

void pi_layout_bytes(pi_layout *layout, const void *bytes, size_t length) {
    unsigned char *to = length == 0 ? NULL : append(layout, length);
    if (to != NULL)
        memcpy(to, bytes, length);
}

void pi_layout_zeros(pi_layout *layout, size_t length) {
    unsigned char *to = length == 0 ? NULL : append(layout, length);
    if (to != NULL)
        memset(to, 0, length);
}

void pi_layout_align(pi_layout *layout, unsigned alignment) {
    pi_layout_zeros(layout, (size_t)(-layout->position & (alignment - 1)));
}

void pi_layout_set_u32(pi_layout *layout, uint64_t position, uint32_t value) {
    if (layout->failure != 0)
        return;
    assert(layout->pieces[0].kind == PI_PIECE_OWN && position + 4 <= layout->pieces[0].size_bytes);
    store(layout->own_bytes + position, value, 4);
}

void pi_layout_borrow(pi_layout *layout, const void *bytes, size_t length) {
    pi_piece *piece = length == 0 ? NULL : add_piece(layout, PI_PIECE_BORROWED, length);
    if (piece != NULL)
        piece->borrowed = bytes;
}

void pi_layout_memory(pi_layout *layout, pi_memory_range range) {
    pi_piece *piece =
        range.size_bytes == 0 ? NULL : add_piece(layout, PI_PIECE_MEMORY, range.size_bytes);
    if (piece != NULL)
        piece->begin = range.address;
}

uint32_t pi_layout_rva(pi_layout *layout, uint64_t position) {
    if (position <= UINT32_MAX)
        return (uint32_t)position;
    pi_layout_fail(layout, PROCINSPECT_ERROR_TOO_LARGE);
    return 0;
}

static int32_t refuse(pi_layout *layout, uint64_t max_bytes, procinspect_error *error) {
    if (layout->failure == PROCINSPECT_ERROR_NO_MEMORY)
        return pi_error_no_memory(error);
    if (layout->failure != 0)
        return pi_error_set(error, layout->failure, 0,
                            "The dump would need more than the 4 GiB that this form of it can "
                            "address; ask for a dump type with less memory in it.");
    if (max_bytes != 0 && layout->position > max_bytes)
        return pi_error_set(error, PROCINSPECT_ERROR_TOO_LARGE, 0,
                            "The dump would take %" PRIu64 " bytes, and max_dump_bytes allows "
                            "%" PRIu64 "; raise that limit or ask for a smaller dump type.",
                            layout->position, max_bytes);
    return PROCINSPECT_OK;
}

int32_t pi_layout_finish(pi_layout *layout, uint64_t max_bytes, pi_image **image,
                         procinspect_error *error) {
    int32_t code = refuse(layout, max_bytes, error);
    pi_image *made = code == PROCINSPECT_OK ? calloc(1, sizeof *made) : NULL;
    if (made == NULL) {
        free(layout->pieces);
        free(layout->own_bytes);
        *layout = (pi_layout){0};
        return code == PROCINSPECT_OK ? pi_error_no_memory(error) : code;
    }
    made->size_bytes = layout->position;
    made->pieces = layout->pieces;
    made->piece_count = layout->piece_count;
    made->own_bytes = layout->own_bytes;
    made->source = layout->source;
    *layout = (pi_layout){0};
    *image = made;
    return PROCINSPECT_OK;
}
