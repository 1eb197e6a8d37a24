/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "fuzz/fuzz.h"
#include "platform/linux/maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    pi_maps_cursor cursor = {text, text + size};
    pi_mapping mapping;
    while (pi_maps_next(&cursor, &mapping)) {
        FUZZ_EXPECT(mapping.start < mapping.end);
        FUZZ_EXPECT(cursor.next <= text + size);
        FUZZ_EXPECT(mapping.path >= text && mapping.path + mapping.path_length < cursor.next);
        FUZZ_EXPECT(memchr(mapping.path, '\n', mapping.path_length) == NULL);
        FUZZ_EXPECT(pi_mapping_path_length_without_mark(&mapping) <= mapping.path_length);
        char *path = malloc(mapping.path_length + 1);
        FUZZ_EXPECT(path != NULL);
        FUZZ_EXPECT(pi_maps_unescape(path, mapping.path, mapping.path_length) <=
                    mapping.path_length);
        free(path);
    }
    return 0;
}

size_t fuzz_seed(size_t index, uint8_t *buffer, size_t capacity) {
    static const char seed[] =
        "55d0c0de1000-55d0c0de2000 r-xp 00001000 fe:01 1234                       /usr/bin/a b\n"
        "55d0c0de2000-55d0c0de3000 r--p 00002000 fe:01 1234                       "
        "/usr/lib/x\\012y.so (deleted)\n"
        "7ffc00000000-7ffc00021000 rw-s 00000000 00:00 0                          [stack]\n"
        "7ffc00100000-7ffc00121000 rw-p 00000000 00:00 0 \n";
    if (index != 0 || sizeof seed - 1 > capacity)
        return 0;
    memcpy(buffer, seed, sizeof seed - 1);
    return sizeof seed - 1;
}
