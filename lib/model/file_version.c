/* SPDX-License-Identifier: MIT */
#include "model/file_version.h"

#include <stdbool.h>
#include <string.h>

static bool is_digit(char character) {
    return character >= '0' && character <= '9';
}

/* The longest "N.N.N" at the start of these bytes: a dot counts only with a digit behind it. */
static size_t version_length(const char *text, size_t length) {
    size_t end = 0;
    while (end < length) {
        if (is_digit(text[end]))
            end++;
        else if (end > 0 && text[end] == '.' && end + 1 < length && is_digit(text[end + 1]))
            end += 2;
        else
            break;
    }
    return end;
}

static void read_parts(pi_file_version *version) {
    size_t part = 0;
    for (size_t i = 0; i < version->length && part < 4; i++) {
        if (version->digits[i] == '.') {
            part++;
            continue;
        }
        uint64_t value = (uint64_t)version->parts[part] * 10 + (uint64_t)(version->digits[i] - '0');
        version->parts[part] = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
    }
}

pi_file_version pi_file_version_of(const char *name, size_t length) {
    static const char mark[] = ".so.";
    enum { MARK_LENGTH = sizeof mark - 1 };
    pi_file_version version = {0};
    for (size_t at = length; at-- > 0;) {
        if (length - at <= MARK_LENGTH || memcmp(name + at, mark, MARK_LENGTH) != 0)
            continue;
        size_t digits = version_length(name + at + MARK_LENGTH, length - at - MARK_LENGTH);
        if (digits == 0)
            continue;
        version.digits = name + at + MARK_LENGTH;
        version.length = digits;
        read_parts(&version);
        break;
    }
    return version;
}
