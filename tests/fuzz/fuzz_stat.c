/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "fuzz/fuzz.h"
#include "platform/linux/stat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    pi_stat stat;
    if (!pi_stat_parse(text, size, &stat))
        return 0;
    FUZZ_EXPECT(stat.name >= text && stat.name + stat.name_length < text + size);
    return 0;
}

size_t fuzz_seed(size_t index, uint8_t *buffer, size_t capacity) {
    static const char *const seeds[] = {
        "4211 (a) R 1 () S 1 4211 4211 0 -1 4194304 88 0 0 0 12 34 0 0 20 0 1 0 5123456 2576384 "
        "223 18446744073709551615 94 94 140 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 94 94 94 140 140 140 "
        "140 0\n",
        "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 -2 -20 1 0 1 0 0 18446744073709551615 0 "
        "0 0 0 0 0 0 2147483647 0 0 0 0 0 0 99 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
    };
    if (index >= sizeof seeds / sizeof seeds[0] || strlen(seeds[index]) > capacity)
        return 0;
    memcpy(buffer, seeds[index], strlen(seeds[index]));
    return strlen(seeds[index]);
}
