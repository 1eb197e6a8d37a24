/* SPDX-License-Identifier: MIT */
#include "model/command_line.h"

#include <string.h>

#include "base/text.h"

char *pi_command_line_join(pi_arena *arena, char *bytes, size_t length) {
    while (length != 0 && bytes[length - 1] == '\0')
        length--;
    for (size_t i = 0; i < length; i++)
        if (bytes[i] == '\0')
            bytes[i] = ' ';
    return pi_utf8_repair(arena, bytes, length);
}

enum { LONGEST_NAME = 255 }; /* of a file; what is longer names no program */

pi_bytes pi_process_name_complete(pi_bytes name, pi_bytes command_line) {
    if (command_line.length == 0)
        return name;
    const char *first = command_line.data;
    const char *end = memchr(first, '\0', command_line.length);
    if (end == NULL)
        end = first + command_line.length;
    const char *component = end;
    while (component > first && component[-1] != '/')
        component--;
    size_t length = (size_t)(end - component);
    if (length < name.length || length > LONGEST_NAME ||
        memcmp(component, name.data, name.length) != 0)
        return name;
    return (pi_bytes){component, length};
}
