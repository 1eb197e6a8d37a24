/* SPDX-License-Identifier: MIT */
#include "json/object.h"

#include "json/values.h"

void pi_json_object_begin(pi_json_object *object, pi_json_document *document, uint64_t known,
                          const procinspect_unavailable *const *unavailable,
                          size_t unavailable_count) {
    *object = (pi_json_object){
        .document = document,
        .members = json_object(),
        .known = known,
        .unavailable = unavailable,
        .unavailable_count = unavailable_count,
    };
}

void pi_json_put(pi_json_object *object, const char *name, json_t *value) {
    pi_json_set(object->document, object->members, name, value);
}

static const char *reason_of(const pi_json_object *object, uint64_t bit) {
    for (size_t i = 0; i < object->unavailable_count; i++) {
        const procinspect_unavailable *each = object->unavailable[i];
        if ((each->members & bit) != 0)
            return each->reason != NULL ? each->reason : procinspect_error_name(each->code);
    }
    return "Not asked for when this was read.";
}

void pi_json_put_unavailable(pi_json_object *object, const char *name, json_t *unknown,
                             const char *reason) {
    pi_json_put(object, name, unknown);
    if (object->missing == NULL)
        object->missing = json_object();
    pi_json_set(object->document, object->missing, name, pi_json_text(object->document, reason));
}

bool pi_json_knows(pi_json_object *object, const char *name, uint64_t bit, json_t *unknown) {
    if ((object->known & bit) == bit) {
        json_decref(unknown);
        return true;
    }
    pi_json_put_unavailable(object, name, unknown, reason_of(object, bit));
    return false;
}

void pi_json_put_number(pi_json_object *object, const char *name, uint64_t bit, int64_t value) {
    if (pi_json_knows(object, name, bit, json_integer(PI_UNKNOWN_NUMBER)))
        pi_json_put(object, name, json_integer(value));
}

void pi_json_put_size(pi_json_object *object, const char *name, uint64_t bit, uint64_t bytes) {
    if (pi_json_knows(object, name, bit, json_integer(PI_UNKNOWN_NUMBER)))
        pi_json_put(object, name, pi_json_size(bytes));
}

void pi_json_put_count(pi_json_object *object, const char *name, uint64_t bit, uint64_t count) {
    if (pi_json_knows(object, name, bit, json_integer(PI_UNKNOWN_NUMBER)))
        pi_json_put(object, name, pi_json_count(count));
}

void pi_json_put_span(pi_json_object *object, const char *name, uint64_t bit, uint64_t ns) {
    if (!pi_json_knows(object, name, bit, json_string_nocheck(PI_UNKNOWN_SPAN)))
        return;
    char text[PI_SPAN_CAPACITY];
    pi_format_span(text, (int64_t)(ns / PI_NANOSECONDS_PER_TICK));
    pi_json_put(object, name, json_string_nocheck(text));
}

void pi_json_put_instant(pi_json_object *object, const char *name, uint64_t bit, int64_t unix_ns) {
    if (!pi_json_knows(object, name, bit, json_string_nocheck(PI_UNKNOWN_INSTANT)))
        return;
    char text[PI_INSTANT_CAPACITY];
    pi_format_instant(text, unix_ns);
    pi_json_put(object, name, json_string_nocheck(text));
}

void pi_json_put_text(pi_json_object *object, const char *name, uint64_t bit, const char *text) {
    if (pi_json_knows(object, name, bit, json_null()))
        pi_json_put(object, name, pi_json_text(object->document, text));
}

void pi_json_put_boolean(pi_json_object *object, const char *name, uint64_t bit, uint32_t value) {
    if (pi_json_knows(object, name, bit, json_null()))
        pi_json_put(object, name, json_boolean(value != 0));
}

json_t *pi_json_object_end(pi_json_object *object) {
    pi_json_put(object, "unavailable", object->missing != NULL ? object->missing : json_object());
    return object->members;
}

json_t *pi_json_item_end(pi_json_object *object) {
    if (object->missing != NULL)
        pi_json_put(object, "unavailable", object->missing);
    return object->members;
}
