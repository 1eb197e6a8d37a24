/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "fuzz/fuzz.h"

/* Runs a fuzz target on its seeds, on each of their prefixes, and on mutations of them: the same
 * ones on every run. */

enum { CAPACITY = 8192, MUTATIONS = 20000, SEEDS = 8 };

static uint64_t random_state = 88172645463325252;

/* xorshift64 */
static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* In memory of exactly this size, so that a sanitizer sees reads beyond. */
static void run(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    FUZZ_EXPECT(copy != NULL);
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static size_t mutate(uint8_t *data, size_t size) {
    static const uint64_t edges[] = {0,         1,         0x7f,       0xff,       0xffff,
                                     INT32_MAX, INT64_MAX, UINT32_MAX, UINT64_MAX, UINT64_MAX - 7};
    size_t at = (size_t)(next_random() % size);
    size_t left = size - at;
    switch (next_random() % 6) {
    case 0:
        data[at] ^= (uint8_t)(1u << next_random() % 8);
        return size;
    case 1:
        data[at] = (uint8_t)next_random();
        return size;
    case 2: /* a number at a limit, little-endian, of any width */
    {
        uint64_t edge = edges[next_random() % (sizeof edges / sizeof edges[0])];
        size_t width = (size_t)1 << next_random() % 4;
        memcpy(data + at, &edge, width < left ? width : left);
        return size;
    }
    case 3: /* something from elsewhere */
    {
        size_t from = (size_t)(next_random() % size);
        size_t length = (size_t)(next_random() % 16);
        if (length > left)
            length = left;
        if (length > size - from)
            length = size - from;
        memmove(data + at, data + from, length);
        return size;
    }
    case 4: /* a piece cut out */
    {
        size_t length = (size_t)(next_random() % 8);
        if (length >= left || size < 16)
            return size;
        memmove(data + at, data + at + length, left - length);
        return size - length;
    }
    default: /* the end cut off, seldom */
        return next_random() % 8 == 0 && at > 0 ? at : size;
    }
}

int main(void) {
    static uint8_t seeds[SEEDS][CAPACITY], data[CAPACITY];
    size_t sizes[SEEDS] = {0}, count = 0;
    while (count < SEEDS && (sizes[count] = fuzz_seed(count, seeds[count], CAPACITY)) != 0)
        count++;
    FUZZ_EXPECT(count > 0);
    for (size_t seed = 0; seed < count; seed++)
        for (size_t size = 0; size <= sizes[seed]; size++)
            run(seeds[seed], size);
    for (unsigned done = 0; done < MUTATIONS; done++) {
        size_t seed = done % count, size = sizes[seed];
        memcpy(data, seeds[seed], size);
        for (uint64_t steps = 1 + next_random() % 8; steps > 0; steps--)
            size = mutate(data, size);
        run(data, size);
    }
    printf("%zu seeds, %d mutations\n", count, MUTATIONS);
    return 0;
}
