/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
enum { REPLACEMENT_LENGTH = 3 };

size_t pi_utf8_sequence(const unsigned char *bytes, size_t length) {
    if (length == 0)
        return 0;
    unsigned char first = bytes[0];
    if (first < 0x80)
        return 1;
    size_t count;
    uint32_t lowest, code;
    if (first >= 0xc2 && first <= 0xdf) {
        count = 2, lowest = 0x80, code = first & 0x1fu;
    } else if ((first & 0xf0) == 0xe0) {
        count = 3, lowest = 0x800, code = first & 0x0fu;
    } else if (first >= 0xf0 && first <= 0xf4) {
        count = 4, lowest = 0x10000, code = first & 0x07u;
    } else {
        return 0;
    }
    if (count > length)
        return 0;
    for (size_t i = 1; i < count; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (bytes[i] & 0x3fu);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < lowest || code > 0x10ffff || surrogate ? 0 : count;
}

size_t pi_utf8_prefix(const char *text, size_t length) {
    size_t end = length;
    /* A character has at most three continuation bytes: look for its first byte. */
    while (end > 0 && length - end < 3 && ((unsigned char)text[end - 1] & 0xc0) == 0x80)
        end--;
    if (end == 0)
        return length;
    const unsigned char *last = (const unsigned char *)text + end - 1;
    size_t remaining = length - (end - 1);
    return pi_utf8_sequence(last, remaining) == remaining ? length : end - 1;
}

/* Eight bytes, wherever they stand. */
static uint64_t word_at(const unsigned char *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* How many of the bytes come before the first that is not ASCII. */
static size_t ascii_prefix(const unsigned char *bytes, size_t length) {
    static const uint64_t highs = UINT64_C(0x8080808080808080);
    const unsigned char *at = bytes, *end = bytes + length;
    while (end - at >= 32 &&
           ((word_at(at) | word_at(at + 8) | word_at(at + 16) | word_at(at + 24)) & highs) == 0)
        at += 32;
    while (end - at >= 8 && (word_at(at) & highs) == 0)
        at += 8;
    while (at < end && *at < 0x80)
        at++;
    return (size_t)(at - bytes);
}

bool pi_utf8_is_valid(const void *bytes, size_t length) {
    const unsigned char *source = bytes;
    size_t done = ascii_prefix(source, length);
    while (done < length) {
        size_t count = pi_utf8_sequence(source + done, length - done);
        if (count == 0)
            return false;
        done += count;
        done += ascii_prefix(source + done, length - done);
    }
    return true;
}

bool pi_utf8_is_text(const void *bytes, size_t length) {
    return pi_utf8_is_valid(bytes, length) && (length == 0 || memchr(bytes, '\0', length) == NULL);
}

char *pi_utf8_repair(pi_arena *arena, const void *bytes, size_t length) {
    const unsigned char *source = bytes;
    if (pi_utf8_is_text(bytes, length))
        return pi_arena_copy(arena, bytes, length);
    size_t repaired_length = 0;
    for (size_t i = 0; i < length;) {
        size_t count = source[i] == 0 ? 0 : pi_utf8_sequence(source + i, length - i);
        repaired_length += count == 0 ? REPLACEMENT_LENGTH : count;
        i += count == 0 ? 1 : count;
    }
    char *result = pi_arena_alloc(arena, repaired_length + 1);
    if (result == NULL)
        return NULL;
    char *to = result;
    for (size_t i = 0; i < length;) {
        size_t count = source[i] == 0 ? 0 : pi_utf8_sequence(source + i, length - i);
        size_t written = count == 0 ? REPLACEMENT_LENGTH : count;
        memcpy(to, count == 0 ? (const void *)replacement : (const void *)(source + i), written);
        to += written;
        i += count == 0 ? 1 : count;
    }
    *to = '\0';
    return result;
}

const char *pi_utf8_terminated(pi_arena *arena, const char *bytes, size_t length) {
    return pi_utf8_is_text(bytes, length) ? bytes : pi_utf8_repair(arena, bytes, length);
}

void pi_utf8_repair_into(char *buffer, size_t capacity, const void *bytes, size_t length) {
    const unsigned char *source = bytes;
    size_t used = 0;
    for (size_t i = 0; i < length;) {
        size_t count = pi_utf8_sequence(source + i, length - i);
        bool control = count == 1 && (source[i] < 0x20 || source[i] == 0x7f);
        bool replaced = count == 0 || control;
        size_t written = replaced ? REPLACEMENT_LENGTH : count;
        if (used + written + 1 > capacity)
            break;
        memcpy(buffer + used, replaced ? (const void *)replacement : (const void *)(source + i),
               written);
        used += written;
        i += count == 0 ? 1 : count;
    }
    if (capacity != 0)
        buffer[used] = '\0';
}

static unsigned digit_value(char digit) {
    if (digit >= '0' && digit <= '9')
        return (unsigned)(digit - '0');
    if (digit >= 'a' && digit <= 'f')
        return (unsigned)(digit - 'a') + 10;
    if (digit >= 'A' && digit <= 'F')
        return (unsigned)(digit - 'A') + 10;
    return 16;
}

size_t pi_parse_u64(const char *bytes, size_t length, unsigned base, uint64_t *value) {
    uint64_t number = 0;
    size_t used = 0;
    for (; used < length && digit_value(bytes[used]) < base; used++) {
        if (__builtin_mul_overflow(number, (uint64_t)base, &number) ||
            __builtin_add_overflow(number, (uint64_t)digit_value(bytes[used]), &number))
            return 0;
    }
    if (used != 0)
        *value = number;
    return used;
}

bool pi_parse_u64_whole(const char *bytes, size_t length, unsigned base, uint64_t *value) {
    uint64_t number;
    if (length == 0 || pi_parse_u64(bytes, length, base, &number) != length)
        return false;
    *value = number;
    return true;
}

static char lower(char letter) {
    return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

bool pi_ascii_equal_ignoring_case(const char *left, size_t left_length, const char *right,
                                  size_t right_length) {
    if (left_length != right_length)
        return false;
    for (size_t i = 0; i < left_length; i++)
        if (lower(left[i]) != lower(right[i]))
            return false;
    return true;
}

bool pi_ascii_contains_ignoring_case(const char *text, size_t text_length, const char *part,
                                     size_t part_length) {
    for (size_t i = 0; part_length <= text_length && i <= text_length - part_length; i++)
        if (pi_ascii_equal_ignoring_case(text + i, part_length, part, part_length))
            return true;
    return false;
}
