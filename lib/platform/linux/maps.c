/* SPDX-License-Identifier: MIT */
#include "platform/linux/maps.h"

#include <string.h>

static const char deleted_mark[] = " (deleted)";
enum { DELETED_MARK_LENGTH = sizeof deleted_mark - 1 };

/* What is left of one line. */
typedef struct field_reader {
    const char *next;
    const char *end;
} field_reader;

/* Lower-case digits only: the kernel writes no others. */
static int digit_value(char character) {
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    return 16;
}

static bool read_digits(field_reader *line, unsigned base, uint64_t *value) {
    const char *at = line->next;
    uint64_t number = 0;
    for (; at < line->end; at++) {
        unsigned digit = (unsigned)digit_value(*at);
        if (digit >= base)
            break;
        if (number > (UINT64_MAX - digit) / base)
            return false;
        number = number * base + digit;
    }
    if (at == line->next)
        return false;
    line->next = at;
    *value = number;
    return true;
}

/* A number and the one character that follows it. */
static bool read_number(field_reader *line, unsigned base, char terminator, uint64_t *value) {
    if (!read_digits(line, base, value) || line->next == line->end || *line->next != terminator)
        return false;
    line->next++;
    return true;
}

static bool read_device_number(field_reader *line, char terminator, uint32_t *value) {
    uint64_t number;
    if (!read_number(line, 16, terminator, &number) || number > UINT32_MAX)
        return false;
    *value = (uint32_t)number;
    return true;
}

/* "r-xp " */
static bool read_permissions(field_reader *line, uint32_t *permissions) {
    static const char letters[] = "rwxs";
    if (line->end - line->next < 5 || line->next[4] != ' ')
        return false;
    uint32_t found = 0;
    for (unsigned i = 0; i < 4; i++) {
        char letter = line->next[i];
        if (letter == letters[i])
            found |= 1u << i;
        else if (letter != (i == 3 ? 'p' : '-'))
            return false;
    }
    line->next += 5;
    *permissions = found;
    return true;
}

/* "55d0c0de1000-55d0c0de2000 r--p 00001000 fe:01 1234                       /usr/bin/program" */
static bool read_line(field_reader line, pi_mapping *mapping) {
    pi_mapping found = {0};
    if (!read_number(&line, 16, '-', &found.start) || !read_number(&line, 16, ' ', &found.end) ||
        !read_permissions(&line, &found.permissions) ||
        !read_number(&line, 16, ' ', &found.offset) ||
        !read_device_number(&line, ':', &found.device_major) ||
        !read_device_number(&line, ' ', &found.device_minor) ||
        !read_digits(&line, 10, &found.inode) || found.end <= found.start)
        return false;
    if (line.next < line.end && *line.next != ' ')
        return false;
    while (line.next < line.end && *line.next == ' ')
        line.next++;
    found.path = line.next;
    found.path_length = (size_t)(line.end - line.next);
    found.is_marked_deleted =
        found.path_length > DELETED_MARK_LENGTH && found.path[0] == '/' &&
        memcmp(line.end - DELETED_MARK_LENGTH, deleted_mark, DELETED_MARK_LENGTH) == 0;
    *mapping = found;
    return true;
}

bool pi_maps_next(pi_maps_cursor *cursor, pi_mapping *mapping) {
    while (cursor->next < cursor->end) {
        field_reader line = {cursor->next, NULL};
        line.end = memchr(cursor->next, '\n', (size_t)(cursor->end - cursor->next));
        if (line.end == NULL)
            break;
        cursor->next = line.end + 1;
        if (read_line(line, mapping))
            return true;
    }
    cursor->next = cursor->end;
    return false;
}

size_t pi_mapping_path_length_without_mark(const pi_mapping *mapping) {
    return mapping->path_length - (mapping->is_marked_deleted ? DELETED_MARK_LENGTH : 0);
}

bool pi_mapping_is_named(const pi_mapping *mapping, const char *name) {
    size_t length = strlen(name);
    return mapping->path_length == length && memcmp(mapping->path, name, length) == 0;
}

size_t pi_maps_unescape(char *to, const char *path, size_t length) {
    size_t written = 0;
    for (size_t i = 0; i < length; written++) {
        if (length - i >= 4 && memcmp(path + i, "\\012", 4) == 0) {
            to[written] = '\n';
            i += 4;
        } else {
            to[written] = path[i++];
        }
    }
    return written;
}
