/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json/object.h"

static const char redacted[] = "[redacted]";

/* Names can become one by the repair of their texts, and none is dropped for that: the second of
 * "NAME" is "NAME\uFFFD", those behind it "NAME\uFFFD2" and so on. `repeats` has how many there
 * were of each, since a target may have a great many. */
static const char *new_name(pi_json_document *document, const json_t *variables, json_t *repeats,
                            const char *name) {
    if (json_object_get(variables, name) == NULL)
        return name;
    size_t capacity = strlen(name) + sizeof "\xef\xbf\xbd" + 20;
    char *made = pi_arena_alloc(document->arena, capacity);
    if (made == NULL) {
        document->failed = true;
        return name;
    }
    json_int_t count = json_integer_value(json_object_get(repeats, name));
    do {
        count++;
        snprintf(made, capacity, count == 1 ? "%s\xef\xbf\xbd" : "%s\xef\xbf\xbd%" PRId64, name,
                 (int64_t)count);
    } while (json_object_get(variables, made) != NULL);
    pi_json_set(document, repeats, name, json_integer(count));
    return made;
}

json_t *pi_json_variables(pi_json_document *document, const procinspect_environment *environment) {
    json_t *variables = json_object();
    json_t *repeats = json_object();
    bool redact_all = (document->options.flags & PROCINSPECT_JSON_REDACT) != 0;
    size_t count = environment != NULL ? environment->count : 0;
    for (size_t i = 0; i < count && !document->failed; i++) {
        const procinspect_environment_variable *each = environment->items[i];
        bool redact = redact_all || each->is_redacted;
        json_t *value =
            redact ? json_string_nocheck(redacted) : pi_json_text(document, each->value);
        json_t *name = pi_json_text(document, each->name);
        const char *key = json_string_value(name);
        if (key != NULL)
            key = new_name(document, variables, repeats, key);
        pi_json_set(document, variables, key, value);
        json_decref(name);
    }
    json_decref(repeats);
    return variables;
}

int32_t procinspect_json_environment(const procinspect_environment *environment,
                                     const procinspect_json_options *options,
                                     const procinspect_json **json, procinspect_error *error) {
    pi_json_document document;
    int32_t code = pi_json_document_begin(&document, "procinspect_json_environment", environment,
                                          json, options, error);
    if (code != PROCINSPECT_OK)
        return code;
    return pi_json_document_end(&document, pi_json_variables(&document, environment), json, error);
}
