/* SPDX-License-Identifier: MIT */
#include "model/package_note.h"

#include <stdint.h>
#include <string.h>

enum { MAX_DEPTH = 16 };

typedef struct json_reader {
    const char *next;
    const char *end;
} json_reader;

static bool take(json_reader *json, char character) {
    if (json->next == json->end || *json->next != character)
        return false;
    json->next++;
    return true;
}

static void skip_space(json_reader *json) {
    while (json->next < json->end && memchr(" \t\r\n", *json->next, 4) != NULL)
        json->next++;
}

/* Where a string's bytes go; a NULL `bytes` drops them. */
typedef struct text_writer {
    char *bytes;
    size_t capacity; /* with the NUL */
    size_t length;
    bool is_full;
} text_writer;

static void put(text_writer *to, char byte) {
    if (to->bytes == NULL)
        return;
    if (to->length + 1 >= to->capacity) {
        to->is_full = true;
        return;
    }
    to->bytes[to->length++] = byte;
}

static void put_code_point(text_writer *to, uint32_t code) {
    if (code < 0x80) {
        put(to, (char)code);
        return;
    }
    unsigned continuations = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    put(to, (char)(lead[continuations] | code >> (6 * continuations)));
    while (continuations-- > 0)
        put(to, (char)(0x80 | (code >> (6 * continuations) & 0x3f)));
}

/* The four digits of \uXXXX. */
static bool read_hex4(json_reader *json, uint32_t *value) {
    uint32_t number = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (json->next == json->end)
            return false;
        char character = *json->next++;
        uint32_t digit;
        if (character >= '0' && character <= '9')
            digit = (uint32_t)(character - '0');
        else if ((character | 0x20) >= 'a' && (character | 0x20) <= 'f')
            digit = (uint32_t)((character | 0x20) - 'a' + 10);
        else
            return false;
        number = number << 4 | digit;
    }
    *value = number;
    return true;
}

/* Behind "\u". A NUL would end the text early, and half a surrogate pair is no character. */
static bool read_code_point(json_reader *json, text_writer *to) {
    uint32_t code;
    if (!read_hex4(json, &code) || code == 0 || (code >= 0xdc00 && code <= 0xdfff))
        return false;
    if (code >= 0xd800 && code <= 0xdbff) {
        uint32_t low;
        if (!take(json, '\\') || !take(json, 'u') || !read_hex4(json, &low) || low < 0xdc00 ||
            low > 0xdfff)
            return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    put_code_point(to, code);
    return true;
}

static bool read_escape(json_reader *json, text_writer *to) {
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (json->next == json->end)
        return false;
    char letter = *json->next++;
    if (letter == 'u')
        return read_code_point(json, to);
    const char *at = memchr(letters, letter, sizeof letters - 1);
    if (at == NULL)
        return false;
    put(to, meanings[at - letters]);
    return true;
}

static bool read_string(json_reader *json, text_writer *to) {
    if (!take(json, '"'))
        return false;
    while (json->next < json->end) {
        char character = *json->next++;
        if (character == '"') {
            if (to->bytes != NULL)
                to->bytes[to->length] = '\0';
            return true;
        }
        if ((unsigned char)character < 0x20)
            return false;
        if (character != '\\')
            put(to, character);
        else if (!read_escape(json, to))
            return false;
    }
    return false;
}

/* Numbers and the three words: what they are doesn't matter, only where they end. */
static bool skip_word(json_reader *json) {
    const char *begin = json->next;
    while (json->next < json->end) {
        char character = *json->next;
        bool belongs = (character >= '0' && character <= '9') ||
                       (character >= 'a' && character <= 'z') || character == 'E' ||
                       character == '+' || character == '-' || character == '.';
        if (!belongs)
            break;
        json->next++;
    }
    return json->next != begin;
}

/* Steps over any value without recursion: `closers` holds what ends the open ones. */
static bool skip_value(json_reader *json) {
    char closers[MAX_DEPTH];
    size_t depth = 0;
    do {
        text_writer nowhere = {0};
        skip_space(json);
        if (json->next == json->end)
            return false;
        char character = *json->next;
        if (character == '{' || character == '[') {
            if (depth == MAX_DEPTH)
                return false;
            closers[depth++] = character == '{' ? '}' : ']';
            json->next++;
        } else if (depth > 0 && character == closers[depth - 1]) {
            depth--;
            json->next++;
        } else if (depth > 0 && (character == ',' || character == ':')) {
            json->next++;
        } else if (character == '"' ? !read_string(json, &nowhere) : !skip_word(json)) {
            return false;
        }
    } while (depth > 0);
    return true;
}

static bool read_text(json_reader *json, char *text, bool *has_text) {
    text_writer to = {text, PI_PACKAGE_TEXT_SIZE, 0, false};
    if (!read_string(json, &to) || to.is_full)
        return false;
    *has_text = true;
    return true;
}

static bool read_member(json_reader *json, pi_package_note *note) {
    char key[16];
    text_writer to = {key, sizeof key, 0, false};
    skip_space(json);
    if (!read_string(json, &to))
        return false;
    skip_space(json);
    if (!take(json, ':'))
        return false;
    skip_space(json);
    if (!to.is_full && strcmp(key, "name") == 0)
        return read_text(json, note->name, &note->has_name);
    if (!to.is_full && strcmp(key, "version") == 0)
        return read_text(json, note->version, &note->has_version);
    return skip_value(json);
}

bool pi_package_note_parse(const char *text, size_t length, pi_package_note *note) {
    json_reader json = {text, text + length};
    pi_package_note found = {0};
    skip_space(&json);
    if (!take(&json, '{'))
        return false;
    skip_space(&json);
    if (!take(&json, '}')) {
        do {
            if (!read_member(&json, &found))
                return false;
            skip_space(&json);
        } while (take(&json, ','));
        if (!take(&json, '}'))
            return false;
    }
    skip_space(&json);
    if (json.next != json.end)
        return false;
    *note = found;
    return true;
}
