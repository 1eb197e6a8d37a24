/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "json/object.h"

void pi_json_put_process_item(pi_json_object *object, const procinspect_process_info *info) {
    pi_json_document *document = object->document;
    pi_json_put(object, "id", json_integer(info->pid));
    pi_json_put_text(object, "name", PROCINSPECT_PROCESS_NAME, info->name);
    pi_json_put(object, "href", pi_json_href(document, info->pid, ""));
    pi_json_put(object, "machineName", json_incref(document->machine_name));
    pi_json_put_text(object, "user_name", PROCINSPECT_PROCESS_USER_NAME, info->user_name);
}

/* ASCII only, so that the order doesn't depend on the host's locale. */
static int lower(char letter) {
    return (unsigned char)(letter >= 'A' && letter <= 'Z' ? letter - 'A' + 'a' : letter);
}

static int by_lower_cased_name_then_pid(const void *left, const void *right) {
    const procinspect_process_info *a = *(const procinspect_process_info *const *)left;
    const procinspect_process_info *b = *(const procinspect_process_info *const *)right;
    const char *name_a = a->name != NULL ? a->name : "";
    const char *name_b = b->name != NULL ? b->name : "";
    while (*name_a != '\0' && lower(*name_a) == lower(*name_b)) {
        name_a++;
        name_b++;
    }
    int difference = lower(*name_a) - lower(*name_b);
    return difference != 0 ? difference : (a->pid > b->pid) - (a->pid < b->pid);
}

static json_t *process_items(pi_json_document *document, const procinspect_process_list *list) {
    json_t *array = json_array();
    const procinspect_process_info **sorted = calloc(list->count + 1, sizeof *sorted);
    if (sorted == NULL) {
        document->failed = true;
        return array;
    }
    if (list->count != 0)
        memcpy(sorted, list->items, list->count * sizeof *sorted);
    qsort(sorted, list->count, sizeof *sorted, by_lower_cased_name_then_pid);
    for (size_t i = 0; i < list->count && !document->failed; i++) {
        const procinspect_process_info *info = sorted[i];
        pi_json_object object;
        pi_json_object_begin(&object, document, info->known, info->unavailable,
                             info->unavailable_count);
        pi_json_put_process_item(&object, info);
        pi_json_append(document, array, pi_json_item_end(&object));
    }
    free(sorted);
    return array;
}

int32_t procinspect_json_process_list(const procinspect_process_list *list,
                                      const procinspect_json_options *options,
                                      const procinspect_json **json, procinspect_error *error) {
    pi_json_document document;
    int32_t code = pi_json_document_begin(&document, "procinspect_json_process_list", list, json,
                                          options, error);
    if (code != PROCINSPECT_OK)
        return code;
    return pi_json_document_end(&document, process_items(&document, list), json, error);
}
