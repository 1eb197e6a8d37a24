/* SPDX-License-Identifier: MIT */
#ifndef PI_DUMP_PIECES_H
#define PI_DUMP_PIECES_H

#include "dump/image.h"

/* What an image is made of. Private to image.c, which reads it, and layout.c, which makes it. */

typedef enum pi_piece_kind {
    PI_PIECE_OWN,      /* of the image's own bytes */
    PI_PIECE_BORROWED, /* of the snapshot's */
    PI_PIECE_MEMORY    /* of the target's memory */
} pi_piece_kind;

typedef struct pi_piece {
    uint64_t position; /* in the file */
    uint64_t size_bytes;
    pi_piece_kind kind;
    const unsigned char *borrowed; /* BORROWED */
    uint64_t begin;                /* OWN: index into the own bytes; MEMORY: address */
} pi_piece;

struct pi_image {
    uint64_t size_bytes;
    pi_piece *pieces; /* by position, without gaps */
    size_t piece_count;
    unsigned char *own_bytes;
    const pi_memory_source *source;
    const pi_redaction *redaction; /* NULL: nothing is masked */
};

#endif
