/* SPDX-License-Identifier: MIT */
#ifndef PI_DUMP_LAYOUT_H
#define PI_DUMP_LAYOUT_H

#include "dump/pieces.h"

/*
 * An image that is being laid out: everything is appended, and only single numbers can be set
 * later. All numbers are little-endian and packed, whatever the machine and its compiler do.
 *
 * A failure sticks: what follows does nothing, and pi_layout_finish reports it. So the writers of
 * single streams have no errors to handle.
 */
typedef struct pi_layout {
    uint64_t position; /* the size of the file so far */
    pi_piece *pieces;
    size_t piece_count;
    size_t piece_capacity;
    unsigned char *own_bytes;
    size_t own_length;
    size_t own_capacity;
    const pi_memory_source *source;
    int32_t failure; /* 0, NO_MEMORY or TOO_LARGE */
} pi_layout;

void pi_layout_begin(pi_layout *layout, const pi_memory_source *source);

/* Ends it in any case: either the image takes over what there is, or all of it is freed. */
int32_t pi_layout_finish(pi_layout *layout, uint64_t max_bytes, pi_image **image,
                         procinspect_error *error);

/* What a writer fails with that finds no memory for itself. */
void pi_layout_fail(pi_layout *layout, int32_t code);

void pi_layout_u8(pi_layout *layout, uint8_t value);
void pi_layout_u16(pi_layout *layout, uint16_t value);
void pi_layout_u32(pi_layout *layout, uint32_t value);
void pi_layout_u64(pi_layout *layout, uint64_t value);
void pi_layout_bytes(pi_layout *layout, const void *bytes, size_t length);
void pi_layout_zeros(pi_layout *layout, size_t length);

/* Zeros up to the next multiple of `alignment`, a power of two. */
void pi_layout_align(pi_layout *layout, unsigned alignment);

/* Sets a number in the bytes that the layout began with, before anything was borrowed. */
void pi_layout_set_u32(pi_layout *layout, uint64_t position, uint32_t value);

/* Bytes that stay where they are, and must outlive the image. */
void pi_layout_borrow(pi_layout *layout, const void *bytes, size_t length);

/* A range of the target's memory. */
void pi_layout_memory(pi_layout *layout, pi_memory_range range);

/* A position as the 32 bits that a file has for it; above 4 GiB the layout fails with TOO_LARGE. */
uint32_t pi_layout_rva(pi_layout *layout, uint64_t position);

#endif
