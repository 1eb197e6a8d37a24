/* SPDX-License-Identifier: MIT */
#include "json/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { FIRST_CAPACITY = 4096, LARGEST_TEXT_MIB = 256 };
#define LARGEST_TEXT ((size_t)LARGEST_TEXT_MIB << 20)

/* The handed-out struct and, in the same allocation, its text. The allocator is ours and not
 * jansson's, which the host may have exchanged (json_set_alloc_funcs). */
typedef struct handed_out {
    procinspect_json json;
    char text[];
} handed_out;

typedef struct text_sink {
    handed_out *out;
    size_t length;
    size_t capacity; /* of the text, its NUL included */
    int32_t code;    /* why it stopped */
} text_sink;

static int grow(text_sink *sink, size_t needed) {
    size_t capacity = sink->capacity == 0 ? FIRST_CAPACITY : sink->capacity;
    while (capacity < needed)
        capacity *= 2;
    handed_out *grown = realloc(sink->out, sizeof *grown + capacity);
    if (grown == NULL) {
        sink->code = PROCINSPECT_ERROR_NO_MEMORY;
        return -1;
    }
    sink->out = grown;
    sink->capacity = capacity;
    return 0;
}

static int take(const char *bytes, size_t length, void *user) {
    text_sink *sink = user;
    if (length > LARGEST_TEXT - sink->length) {
        sink->code = PROCINSPECT_ERROR_TOO_LARGE;
        return -1;
    }
    size_t needed = sink->length + length + 1;
    if (needed > sink->capacity && grow(sink, needed) != 0)
        return -1;
    memcpy(sink->out->text + sink->length, bytes, length);
    sink->length += length;
    return 0;
}

int32_t pi_json_render(const json_t *root, bool indent, const procinspect_json **json,
                       procinspect_error *error) {
    text_sink sink = {0};
    size_t flags = indent ? JSON_INDENT(2) : JSON_COMPACT;
    /* A failure that isn't the sink's is jansson's own, which can only be out of memory here. */
    if (json_dump_callback(root, take, &sink, flags) != 0) {
        free(sink.out);
        if (sink.code != PROCINSPECT_ERROR_TOO_LARGE)
            return pi_error_no_memory(error);
        return pi_error_set(error, PROCINSPECT_ERROR_TOO_LARGE, 0,
                            "The JSON text would exceed %d MiB; ask for parts of it.",
                            LARGEST_TEXT_MIB);
    }
    sink.out->text[sink.length] = '\0';
    sink.out->json.text = sink.out->text;
    sink.out->json.length_bytes = sink.length;
    *json = &sink.out->json;
    return PROCINSPECT_OK;
}

void procinspect_json_free(const procinspect_json *json) {
    free((void *)(uintptr_t)json); /* the caller's view of it is const, the library's is not */
}
