/* SPDX-License-Identifier: MIT */
#ifndef PI_JSON_OBJECT_H
#define PI_JSON_OBJECT_H

#include <procinspect/unavailable.h>

#include "json/document.h"

/*
 * A JSON object that is made from a handed-out struct with a `known` mask: each member is put with
 * the bit that says whether it could be read. Where that isn't so its unknown value goes in, and
 * `unavailable` gets its name with the reason. Members appear in the order in which they are put.
 */
typedef struct pi_json_object {
    pi_json_document *document;
    json_t *members;
    json_t *missing; /* NULL while everything is known */
    uint64_t known;
    const procinspect_unavailable *const *unavailable;
    size_t unavailable_count;
} pi_json_object;

void pi_json_object_begin(pi_json_object *object, pi_json_document *document, uint64_t known,
                          const procinspect_unavailable *const *unavailable,
                          size_t unavailable_count);

/* Always known. */
void pi_json_put(pi_json_object *object, const char *name, json_t *value);

/* True where the bit is known. Otherwise puts `unknown`, and the reason; consumes unknown either
 * way. */
bool pi_json_knows(pi_json_object *object, const char *name, uint64_t bit, json_t *unknown);

/* Never known on this system: the reason is ours. */
void pi_json_put_unavailable(pi_json_object *object, const char *name, json_t *unknown,
                             const char *reason);

void pi_json_put_number(pi_json_object *object, const char *name, uint64_t bit, int64_t value);
void pi_json_put_size(pi_json_object *object, const char *name, uint64_t bit, uint64_t bytes);
void pi_json_put_count(pi_json_object *object, const char *name, uint64_t bit, uint64_t count);
void pi_json_put_span(pi_json_object *object, const char *name, uint64_t bit, uint64_t ns);
void pi_json_put_instant(pi_json_object *object, const char *name, uint64_t bit, int64_t unix_ns);
void pi_json_put_text(pi_json_object *object, const char *name, uint64_t bit, const char *text);
void pi_json_put_boolean(pi_json_object *object, const char *name, uint64_t bit, uint32_t value);

/* The finished value: with `unavailable`, which a list item has only where it isn't empty. */
json_t *pi_json_object_end(pi_json_object *object);
json_t *pi_json_item_end(pi_json_object *object);

/* The objects and items that other objects contain. */
void pi_json_put_process_item(pi_json_object *object, const procinspect_process_info *info);
json_t *pi_json_thread_items(pi_json_document *document, const procinspect_thread_list *list);
json_t *pi_json_module_items(pi_json_document *document, const procinspect_module_list *list);
json_t *pi_json_kill_report(pi_json_document *document, const procinspect_kill_report *report);
json_t *pi_json_variables(pi_json_document *document, const procinspect_environment *environment);

#endif
