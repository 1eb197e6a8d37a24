/* SPDX-License-Identifier: MIT */
#include "json/object.h"

static const char redacted[] = "[redacted]";

/* Two names can become one by the repair of their text: the first counts then, as among equal
 * names. */
static void set_first(pi_json_document *document, json_t *variables, json_t *name, json_t *value) {
    const char *key = json_string_value(name);
    if (key == NULL || value == NULL)
        document->failed = true;
    else if (json_object_get(variables, key) == NULL)
        pi_json_set(document, variables, key, json_incref(value));
    json_decref(name);
    json_decref(value);
}

json_t *pi_json_variables(pi_json_document *document, const procinspect_environment *environment) {
    json_t *variables = json_object();
    bool redact_all = (document->options.flags & PROCINSPECT_JSON_REDACT) != 0;
    size_t count = environment != NULL ? environment->count : 0;
    for (size_t i = 0; i < count && !document->failed; i++) {
        const procinspect_environment_variable *each = environment->items[i];
        bool redact = redact_all || each->is_redacted;
        json_t *value =
            redact ? json_string_nocheck(redacted) : pi_json_text(document, each->value);
        set_first(document, variables, pi_json_text(document, each->name), value);
    }
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
