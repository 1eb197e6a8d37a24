/* SPDX-License-Identifier: MIT */
#include "platform/linux/smaps.h"

#include <string.h>

#include "base/text.h"

static bool begins_with(const char *line, size_t length, const char *prefix) {
    size_t prefix_length = strlen(prefix);
    return length >= prefix_length && memcmp(line, prefix, prefix_length) == 0;
}

/* "7f0000000000-7f0000001000 rw-p …" */
static bool take_addresses(pi_smaps_mapping *mapping, const char *line, size_t length) {
    uint64_t start, end;
    size_t first = pi_parse_u64(line, length, 16, &start);
    if (first == 0 || first == length || line[first] != '-')
        return false;
    size_t second = pi_parse_u64(line + first + 1, length - first - 1, 16, &end);
    size_t used = first + 1 + second;
    if (second == 0 || used == length || line[used] != ' ' || start >= end)
        return false;
    *mapping = (pi_smaps_mapping){.start = start, .end = end};
    return true;
}

/* Each of two letters, with a blank before it. */
static bool has_flag(const char *flags, size_t length, const char *flag) {
    for (size_t at = 0; at + 3 <= length; at += 3)
        if (memcmp(flags + at + 1, flag, 2) == 0)
            return true;
    return false;
}

bool pi_smaps_take_line(pi_smaps_mapping *mapping, const char *line, size_t length) {
    static const char key[] = "VmFlags:";
    if (take_addresses(mapping, line, length) || mapping->end == 0 ||
        !begins_with(line, length, key))
        return false;
    size_t key_length = sizeof key - 1;
    mapping->is_dontdump = has_flag(line + key_length, length - key_length, "dd");
    return true;
}
