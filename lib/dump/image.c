/* SPDX-License-Identifier: MIT */
#include "dump/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
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

/* What is asked for is in the file. */
static int32_t read_plain(const pi_image *image, uint64_t offset, unsigned char *buffer,
                          size_t wanted, procinspect_error *error) {
    size_t done = 0;
    size_t index = wanted == 0 ? 0 : piece_at(image, offset);
    while (done < wanted) {
        const pi_piece *piece = &image->pieces[index++];
        uint64_t skipped = offset + done - piece->position;
        uint64_t left = piece->size_bytes - skipped;
        size_t part = left < wanted - done ? (size_t)left : wanted - done;
        int32_t code = read_piece(image, piece, skipped, buffer + done, part, error);
        if (code != PROCINSPECT_OK)
            return code;
        done += part;
    }
    return PROCINSPECT_OK;
}

/* A part of the file with what decides, before and behind it, over what is masked in it. */
static int32_t read_window(const pi_image *image, uint64_t offset, unsigned char *buffer,
                           size_t wanted, unsigned char *window, procinspect_error *error) {
    uint64_t begin = offset < PI_REDACTION_MARGIN ? 0 : offset - PI_REDACTION_MARGIN;
    uint64_t left = image->size_bytes - (offset + wanted);
    uint64_t end = offset + wanted + (left < PI_REDACTION_MARGIN ? left : PI_REDACTION_MARGIN);
    int32_t code = read_plain(image, begin, window, (size_t)(end - begin), error);
    if (code != PROCINSPECT_OK)
        return code;
    memcpy(buffer, window + (offset - begin), wanted);
    pi_redaction_apply(image->redaction, window, (size_t)(end - begin), (size_t)(offset - begin),
                       buffer, wanted);
    return PROCINSPECT_OK;
}

static int32_t read_redacted(const pi_image *image, uint64_t offset, unsigned char *buffer,
                             size_t wanted, procinspect_error *error) {
    enum { LARGEST_PART = 256 * 1024 };
    size_t part = wanted < LARGEST_PART ? wanted : LARGEST_PART;
    unsigned char *window = malloc(part + 2 * PI_REDACTION_MARGIN);
    int32_t code = window != NULL ? PROCINSPECT_OK : pi_error_no_memory(error);
    for (size_t done = 0; done < wanted && code == PROCINSPECT_OK; done += part) {
        if (part > wanted - done)
            part = wanted - done;
        code = read_window(image, offset + done, buffer + done, part, window, error);
    }
    free(window);
    return code;
}

int32_t pi_image_read_at(const pi_image *image, uint64_t offset, void *buffer, size_t capacity,
                         size_t *length, procinspect_error *error) {
    size_t wanted = capacity;
    if (offset >= image->size_bytes)
        wanted = 0;
    else if (wanted > image->size_bytes - offset)
        wanted = (size_t)(image->size_bytes - offset);
    int32_t code = image->redaction == NULL || wanted == 0
                       ? read_plain(image, offset, buffer, wanted, error)
                       : read_redacted(image, offset, buffer, wanted, error);
    if (code == PROCINSPECT_OK)
        *length = wanted;
    return code;
}

void pi_image_redact(pi_image *image, const pi_redaction *redaction) {
    image->redaction = redaction;
}

void pi_image_free(pi_image *image) {
    if (image == NULL)
        return;
    free(image->pieces);
    free(image->own_bytes);
    free(image);
}
