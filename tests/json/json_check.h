/* SPDX-License-Identifier: MIT */
#ifndef TESTS_JSON_JSON_CHECK_H
#define TESTS_JSON_JSON_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <procinspect.h>

/* Includes come as cmocka wants them: this header first. */

static inline json_t *parse_text(const procinspect_json *json) {
    assert_int_equal(strlen(json->text), json->length_bytes);
    json_error_t error;
    json_t *root = json_loadb(json->text, json->length_bytes, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        fail_msg("%s in %s", error.text, json->text);
    procinspect_json_free(json);
    return root;
}

/* The object has exactly these members, in this order; names are separated by spaces. */
static inline void assert_members(json_t *object, const char *names) {
    char found[2048] = "";
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) {
        if (found[0] != '\0')
            strcat(found, " ");
        strcat(found, name);
    }
    assert_string_equal(found, names);
}

static inline void assert_text(json_t *object, const char *name, const char *expected) {
    json_t *value = json_object_get(object, name);
    if (expected == NULL) {
        if (!json_is_null(value))
            fail_msg("%s is not null", name);
        return;
    }
    if (!json_is_string(value))
        fail_msg("%s is no string", name);
    assert_string_equal(json_string_value(value), expected);
}

static inline void assert_number(json_t *object, const char *name, json_int_t expected) {
    json_t *value = json_object_get(object, name);
    if (!json_is_integer(value))
        fail_msg("%s is no integer", name);
    if (json_integer_value(value) != expected)
        fail_msg("%s is %lld, not %lld", name, (long long)json_integer_value(value),
                 (long long)expected);
}

static inline void assert_size(json_t *object, const char *name, size_t expected) {
    json_t *value = json_object_get(object, name);
    if (!json_is_array(value) && !json_is_object(value))
        fail_msg("%s is neither array nor object", name);
    assert_int_equal(json_is_array(value) ? json_array_size(value) : json_object_size(value),
                     expected);
}

#endif
