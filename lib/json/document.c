/* SPDX-License-Identifier: MIT */
#include "json/document.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/options.h"
#include "base/text.h"
#include "json/text.h"

enum {
    HOST_NAME_CAPACITY = 256, /* POSIX: names are at most 255 bytes */
    KNOWN_FLAGS = PROCINSPECT_JSON_REDACT | PROCINSPECT_JSON_INDENT
};

void procinspect_json_options_init(procinspect_json_options *options, size_t struct_size) {
    pi_options_init(options, struct_size);
}

static bool is_utf8(const char *text, size_t length) {
    for (size_t i = 0; i < length;) {
        if ((unsigned char)text[i] < 0x80) {
            i++;
            continue;
        }
        size_t count = pi_utf8_sequence((const unsigned char *)text + i, length - i);
        if (count == 0)
            return false;
        i += count;
    }
    return true;
}

json_t *pi_json_text(pi_json_document *document, const char *text) {
    if (text == NULL)
        return json_null();
    size_t length = strlen(text);
    if (!is_utf8(text, length)) {
        text = pi_utf8_repair(document->arena, text, length);
        if (text == NULL)
            return NULL;
        length = strlen(text);
    }
    return json_stringn_nocheck(text, length);
}

static bool begin_href(pi_json_document *document) {
    const char *url = document->options.collection_url;
    if (url == NULL)
        url = "/api/processes";
    const char *repaired = pi_utf8_repair(document->arena, url, strlen(url));
    if (repaired == NULL)
        return false;
    size_t length = strlen(repaired);
    document->href = pi_arena_alloc(document->arena, length + 1 + PI_JSON_HREF_TAIL);
    if (document->href == NULL)
        return false;
    memcpy(document->href, repaired, length);
    document->href[length] = '/';
    document->href_prefix_length = length + 1;
    return true;
}

/* gethostname gives the node name of uname(2). */
static bool begin_machine_name(pi_json_document *document) {
    char host_name[HOST_NAME_CAPACITY + 1] = "";
    const char *name = document->options.machine_name;
    if (name == NULL) {
        if (gethostname(host_name, HOST_NAME_CAPACITY) != 0)
            host_name[0] = '\0';
        name = host_name;
    }
    document->machine_name = pi_json_text(document, name);
    return document->machine_name != NULL;
}

int32_t pi_json_document_begin(pi_json_document *document, const char *function, const void *given,
                               const procinspect_json *const *json,
                               const procinspect_json_options *options, procinspect_error *error) {
    *document = (pi_json_document){0};
    if (given == NULL || json == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0, "%s: %s is NULL.",
                            function, given == NULL ? "what it is to render" : "json");
    int32_t code = pi_options_take(options, &document->options, sizeof document->options,
                                   PI_SIZE_THROUGH(procinspect_json_options, machine_name),
                                   "procinspect_json_options", error);
    if (code != PROCINSPECT_OK)
        return code;
    uint32_t unknown = document->options.flags & ~(uint32_t)KNOWN_FLAGS;
    if (unknown != 0)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "%s: the option flags have unknown bits 0x%" PRIx32
                            "; leave them 0 or use a newer library.",
                            function, unknown);
    document->arena = pi_arena_new(0, SIZE_MAX);
    if (document->arena != NULL && begin_href(document) && begin_machine_name(document))
        return PROCINSPECT_OK;
    if (document->arena != NULL)
        pi_arena_free_root(pi_arena_root(document->arena));
    return pi_error_no_memory(error);
}

int32_t pi_json_document_end(pi_json_document *document, json_t *root,
                             const procinspect_json **json, procinspect_error *error) {
    bool indent = (document->options.flags & PROCINSPECT_JSON_INDENT) != 0;
    int32_t code = root == NULL || document->failed ? pi_error_no_memory(error)
                                                    : pi_json_render(root, indent, json, error);
    json_decref(root);
    json_decref(document->machine_name);
    pi_arena_free_root(pi_arena_root(document->arena));
    return code;
}

json_t *pi_json_href(pi_json_document *document, int32_t pid, const char *tail) {
    char *rest = document->href + document->href_prefix_length;
    int length = snprintf(rest, PI_JSON_HREF_TAIL, "%" PRId32 "%s", pid, tail);
    return json_stringn_nocheck(document->href, document->href_prefix_length + (size_t)length);
}

void pi_json_append(pi_json_document *document, json_t *array, json_t *value) {
    if (json_array_append_new(array, value) != 0)
        document->failed = true;
}

void pi_json_set(pi_json_document *document, json_t *object, const char *name, json_t *value) {
    if (json_object_set_new_nocheck(object, name, value) != 0)
        document->failed = true;
}

json_t *pi_json_build_id(pi_json_document *document, const void *build_id, size_t length) {
    if (build_id == NULL || length == 0)
        return json_null();
    char *text = pi_arena_alloc(document->arena, length * 2 + 1);
    if (text == NULL)
        return NULL;
    const unsigned char *bytes = build_id;
    for (size_t i = 0; i < length; i++)
        snprintf(text + i * 2, 3, "%02x", bytes[i]);
    return json_stringn_nocheck(text, length * 2);
}
