/* SPDX-License-Identifier: MIT */
#include "zip/random_look.h"

#include <stdint.h>
#include <string.h>

enum {
    SAMPLE_RUNS = 64, /* spread over the bytes */
    SAMPLE_RUN_BYTES = 64,
    SAMPLE_BYTES = SAMPLE_RUNS * SAMPLE_RUN_BYTES,
    FEWEST_BYTES = 2 * SAMPLE_BYTES
};

/* The squares of random bytes' frequencies sum up to little more than if all were equal; those of
 * code, text or pointers to a multiple of that. */
static bool all_values_are_as_common(const unsigned char *bytes, size_t length) {
    uint32_t counts[256] = {0};
    size_t stride = length / SAMPLE_RUNS;
    for (size_t run = 0; run < SAMPLE_RUNS; run++)
        for (size_t i = 0; i < SAMPLE_RUN_BYTES; i++)
            counts[bytes[run * stride + i]]++;
    uint64_t squares = 0;
    for (size_t value = 0; value < 256; value++)
        squares += (uint64_t)counts[value] * counts[value];
    const uint64_t equal = (uint64_t)SAMPLE_BYTES * SAMPLE_BYTES / 256;
    return squares < equal + equal / 4;
}

/*
 * Of all words of four bytes one in 32 is looked at, chosen by its value: where something is there
 * twice the same ones are chosen both times. In random bytes next to none comes again.
 */
static bool something_is_there_twice(const unsigned char *bytes, size_t length) {
    enum { TABLE_BITS = 11 };
    uint32_t seen[1 << TABLE_BITS] = {0};
    size_t chosen = 0, again = 0;
    for (size_t i = 0; i + sizeof(uint32_t) <= length; i++) {
        uint32_t word;
        memcpy(&word, bytes + i, sizeof word);
        uint32_t mixed = word * UINT32_C(0x9e3779b1);
        if ((mixed & 31) != 0 || word == 0)
            continue;
        uint32_t *slot = &seen[mixed >> (32 - TABLE_BITS)];
        chosen++;
        again += *slot == word;
        *slot = word;
    }
    return again > chosen / 32;
}

bool pi_zip_looks_random(const unsigned char *bytes, size_t length) {
    return length >= FEWEST_BYTES && all_values_are_as_common(bytes, length) &&
           !something_is_there_twice(bytes, length);
}
