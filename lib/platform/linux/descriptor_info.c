/* SPDX-License-Identifier: MIT */
#include "platform/linux/descriptor_info.h"

#include <string.h>

/* "0100002", all of it. */
static bool parse_octal(const char *digits, size_t length, uint64_t *value) {
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned char)(digits[i] - '0');
        if (digit > 7 || number > UINT64_MAX >> 3)
            return false;
        number = number << 3 | digit;
    }
    *value = number;
    return length != 0;
}

bool pi_descriptor_flags(const char *text, size_t length, uint64_t *flags) {
    static const char key[] = "flags:\t";
    static const size_t key_length = sizeof key - 1;
    const char *end = text + length, *line_end;
    for (; (line_end = memchr(text, '\n', (size_t)(end - text))) != NULL; text = line_end + 1) {
        size_t line_length = (size_t)(line_end - text);
        if (line_length > key_length && memcmp(text, key, key_length) == 0)
            return parse_octal(text + key_length, line_length - key_length, flags);
    }
    return false;
}
