/* SPDX-License-Identifier: MIT */
#ifndef PI_MODEL_MEMORY_RANGE_H
#define PI_MODEL_MEMORY_RANGE_H

#include <stddef.h>
#include <stdint.h>

typedef struct pi_memory_range {
    uint64_t address;
    uint64_t size_bytes;
} pi_memory_range;

/* The index of the last range that begins at or below the address, of ascending ones of which there
 * is at least one; 0 where none does. */
size_t pi_memory_range_at_or_below(const pi_memory_range *ranges, size_t count, uint64_t address);

/* The index of the range that holds all of [address, address + size_bytes); `count` where none
 * does. */
size_t pi_memory_range_around(const pi_memory_range *ranges, size_t count, uint64_t address,
                              uint64_t size_bytes);

/* How much of [address, address + length), from its beginning on, lies in one of the ascending
 * ranges, whose index *at is then, or outside all of them: `count`. */
size_t pi_memory_range_part(const pi_memory_range *ranges, size_t count, uint64_t address,
                            size_t length, size_t *at);

#endif
