/* SPDX-License-Identifier: MIT */
#ifndef PI_JSON_DOCUMENT_H
#define PI_JSON_DOCUMENT_H

#include <stdbool.h>

#include <jansson.h>
#include <procinspect/json.h>

#include "base/arena.h"

/*
 * One call of procinspect_json_…: begun with the caller's options, ended with the tree that becomes
 * the text. In between nothing has to be checked: whatever fails in building the tree fails for
 * want of memory, `failed` remembers it, and the end answers NO_MEMORY.
 */
typedef struct pi_json_document {
    procinspect_json_options options;
    bool failed;
    pi_arena *arena;
    char *href; /* the collection's URL and a slash, with room for the rest */
    size_t href_prefix_length;
    json_t *machine_name; /* one value that all items share */
} pi_json_document;

/* `function` is the public one that was called, `given` what it is to render and `json` its output:
 * both must not be NULL. */
int32_t pi_json_document_begin(pi_json_document *document, const char *function, const void *given,
                               const procinspect_json *const *json,
                               const procinspect_json_options *options, procinspect_error *error);

/* Turns root, which it consumes, into the text that is handed out. root may be NULL: out of memory.
 */
int32_t pi_json_document_end(pi_json_document *document, json_t *root,
                             const procinspect_json **json, procinspect_error *error);

/* "COLLECTION/PID" and `tail`, which begins with a slash or is empty; at most PI_JSON_HREF_TAIL
 * bytes. */
enum { PI_JSON_HREF_TAIL = 64 };
json_t *pi_json_href(pi_json_document *document, int32_t pid, const char *tail);

/* The calls that take a value consume it; NULL is what jansson returns when out of memory. */
void pi_json_append(pi_json_document *document, json_t *array, json_t *value);
void pi_json_set(pi_json_document *document, json_t *object, const char *name, json_t *value);

/* Lower-case hex; null where there is none. */
json_t *pi_json_build_id(pi_json_document *document, const void *build_id, size_t length);

/* The text as a JSON string, repaired where it isn't UTF-8; NULL gives null. */
json_t *pi_json_text(pi_json_document *document, const char *text);

#endif
