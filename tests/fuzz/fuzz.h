/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * A fuzz target of libFuzzer's shape. With clang -fsanitize=fuzzer it is fuzzed; with mutate.c, as
 * a test, it gets a fixed number of mutations of its seeds.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A well-formed input to start from, copied into buffer; its length, 0 where there is no such
 * seed. */
size_t fuzz_seed(size_t index, uint8_t *buffer, size_t capacity);

/* What a parser promises; also in builds without assertions. */
#define FUZZ_EXPECT(condition)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

#endif
