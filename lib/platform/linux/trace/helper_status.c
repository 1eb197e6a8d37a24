/* SPDX-License-Identifier: MIT */
#include "platform/linux/trace/helper_status.h"

#include <errno.h>
#include <stdbool.h>

#include "platform/linux/trace/helper_system_call.h"

enum { PIECE_BYTES = 1024 };

typedef enum part { PART_KEY, PART_VALUE, PART_OTHER_LINE } part;

/* Where in the file we are; a line may begin in one piece and end in the next. */
typedef struct search {
    const char *key;
    size_t matched; /* of the key */
    part at;
    char *value;
    size_t length;
    size_t capacity;
    bool is_done;
} search;

static void take_letter(search *in, char letter) {
    if (in->at == PART_VALUE) {
        bool is_blank = in->length == 0 && (letter == ' ' || letter == '\t');
        if (letter != '\n' && !is_blank && in->length < in->capacity)
            in->value[in->length++] = letter;
        in->is_done = letter == '\n' || in->length == in->capacity;
    } else if (letter == '\n') {
        in->at = PART_KEY;
        in->matched = 0;
    } else if (in->at == PART_KEY && in->key[in->matched] == '\0' && letter == ':') {
        in->at = PART_VALUE;
    } else if (in->at == PART_KEY && in->key[in->matched] == letter) {
        in->matched++;
    } else {
        in->at = PART_OTHER_LINE;
    }
}

long pi_helper_find_value(int file, const char *key, char *value, size_t capacity) {
    search in = {.key = key, .value = value, .capacity = capacity};
    char piece[PIECE_BYTES];
    long got;
    while (!in.is_done && (got = raw_read(file, piece, sizeof piece)) != 0) {
        if (got < 0)
            return got;
        for (long i = 0; i < got && !in.is_done; i++)
            take_letter(&in, piece[i]);
    }
    return in.at == PART_VALUE ? (long)in.length : -ENODATA;
}
