/* SPDX-License-Identifier: MIT */
#include "base/text.h"
#include "dump/minidump/minidump.h"

enum { REPLACEMENT = 0xfffd };

/* The character at the start of these bytes, U+FFFD for one that is none, and for NUL. Returns how
 * many bytes it took. */
static size_t next_character(const unsigned char *bytes, size_t length, uint32_t *character) {
    size_t count = bytes[0] == 0 ? 0 : pi_utf8_sequence(bytes, length);
    if (count == 0) {
        *character = REPLACEMENT;
        return 1;
    }
    static const unsigned char first_byte_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    *character = bytes[0] & first_byte_mask[count];
    for (size_t i = 1; i < count; i++)
        *character = *character << 6 | (bytes[i] & 0x3fu);
    return count;
}

static uint32_t units_of(uint32_t character) {
    return character > 0xffff ? 2 : 1;
}

static uint32_t count_units(pi_bytes text) {
    const unsigned char *bytes = text.data;
    uint32_t units = 0, character;
    for (size_t i = 0; i < text.length; units += units_of(character))
        i += next_character(bytes + i, text.length - i, &character);
    return units;
}

/* Advances the text past its first *excess units, and leaves in *excess what it was too short for.
 */
static void drop_units(pi_bytes *text, uint32_t *excess) {
    const unsigned char *bytes = text->data;
    uint32_t character;
    while (*excess != 0 && text->length != 0) {
        size_t count = next_character(bytes, text->length, &character);
        uint32_t units = units_of(character);
        *excess -= units < *excess ? units : *excess;
        bytes += count;
        text->length -= count;
    }
    text->data = bytes;
}

static void put_units(pi_layout *layout, pi_bytes text) {
    const unsigned char *bytes = text.data;
    uint32_t character;
    for (size_t i = 0; i < text.length;) {
        i += next_character(bytes + i, text.length - i, &character);
        if (character > 0xffff) {
            pi_layout_u16(layout, (uint16_t)(0xd800 + ((character - 0x10000) >> 10)));
            pi_layout_u16(layout, (uint16_t)(0xdc00 + ((character - 0x10000) & 0x3ff)));
        } else {
            pi_layout_u16(layout, (uint16_t)character);
        }
    }
}

uint32_t pi_minidump_string_size_bytes(pi_bytes text, pi_bytes rest) {
    uint32_t units = count_units(text) + count_units(rest);
    if (units > PI_READER_MAX_STRING_UNITS)
        units = PI_READER_MAX_STRING_UNITS;
    return 4 + 2 * (units + 1); /* its length, and the NUL */
}

uint32_t pi_minidump_put_string(pi_minidump *minidump, pi_bytes text, pi_bytes rest) {
    pi_layout *layout = &minidump->layout;
    pi_layout_align(layout, 4);
    uint32_t rva = pi_layout_rva(layout, layout->position);
    uint32_t units = count_units(text) + count_units(rest);
    uint32_t excess = units > PI_READER_MAX_STRING_UNITS ? units - PI_READER_MAX_STRING_UNITS : 0;
    drop_units(&text, &excess);
    drop_units(&rest, &excess);
    pi_layout_u32(layout, 2 * (count_units(text) + count_units(rest))); /* without the NUL */
    put_units(layout, text);
    put_units(layout, rest);
    pi_layout_u16(layout, 0);
    return rva;
}
