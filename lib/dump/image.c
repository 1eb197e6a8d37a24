/* SPDX-License-Identifier: MIT */
#include "dump/image.h"

#include <stdlib.h>
#include <string.h>

#include "dump/pieces.h"

uint64_t pi_image_size_bytes(const pi_image *image) {
    return image->size_bytes;
}

/* The index of the piece that holds this position, which is inside the file. */
static size_t piece_at(const pi_image *image, uint64_t position) {
    size_t low = 0, high = image->piece_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (image->pieces[middle].position <= position)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static int32_t read_piece(const pi_image *image, const pi_piece *piece, uint64_t skipped,
                          void *buffer, size_t length, procinspect_error *error) {
    switch (piece->kind) {
    case PI_PIECE_OWN:
        memcpy(buffer, image->own_bytes + piece->begin + skipped, length);
        return PROCINSPECT_OK;
    case PI_PIECE_BORROWED:
        memcpy(buffer, piece->borrowed + skipped, length);
        return PROCINSPECT_OK;
    case PI_PIECE_MEMORY:
        break;
    }
    return image->source->read(image->source, piece->begin + skipped, buffer, length, error);
}

int32_t pi_image_read_at(const pi_image *image, uint64_t offset, void *buffer, size_t capacity,
                         size_t *length, procinspect_error *error) {
    size_t wanted = capacity;
    if (offset >= image->size_bytes)
        wanted = 0;
    else if (wanted > image->size_bytes - offset)
        wanted = (size_t)(image->size_bytes - offset);

    size_t done = 0;
    size_t index = wanted == 0 ? 0 : piece_at(image, offset);
    while (done < wanted) {
        const pi_piece *piece = &image->pieces[index++];
        uint64_t skipped = offset + done - piece->position;
        uint64_t left = piece->size_bytes - skipped;
        size_t part = left < wanted - done ? (size_t)left : wanted - done;
        int32_t code =
            read_piece(image, piece, skipped, (unsigned char *)buffer + done, part, error);
        if (code != PROCINSPECT_OK)
            return code;
        done += part;
    }
    *length = wanted;
    return PROCINSPECT_OK;
}

void pi_image_free(pi_image *image) {
    if (image == NULL)
        return;
    free(image->pieces);
    free(image->own_bytes);
    free(image);
}
