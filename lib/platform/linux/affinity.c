/* SPDX-License-Identifier: MIT */
#include "platform/linux/affinity.h"

#include <string.h>

static int hex_digit(char character) {
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    return -1;
}

/* "ff,ffffffff,00000003": groups of eight digits, those of the first processors last. */
static pi_affinity parse_mask(const char *text, size_t length) {
    pi_affinity affinity = {.is_known = length != 0};
    for (size_t i = 0; i < length; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0 && text[i] != ',')
            return (pi_affinity){0};
        if (digit < 0)
            continue;
        affinity.has_more |= affinity.processors >> 60 != 0;
        affinity.processors = affinity.processors << 4 | (uint64_t)digit;
    }
    return affinity;
}

/* The first line of that key counts; none can be forged: the kernel escapes newlines in Name. */
pi_affinity pi_affinity_parse(const char *status, size_t length) {
    static const char key[] = "Cpus_allowed:\t";
    static const size_t key_length = sizeof key - 1;
    const char *end = status + length, *line_end;
    for (; (line_end = memchr(status, '\n', (size_t)(end - status))) != NULL;
         status = line_end + 1) {
        size_t line_length = (size_t)(line_end - status);
        if (line_length > key_length && memcmp(status, key, key_length) == 0)
            return parse_mask(status + key_length, line_length - key_length);
    }
    return (pi_affinity){0};
}
