/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/object.h"
#include "json/values.h"

static const char unknown_file_name[] = "N/A";

static json_t *base_address_text(uint64_t base_address) {
    char text[24];
    snprintf(text, sizeof text, "%" PRIx64, base_address);
    return json_string_nocheck(text);
}

static json_t *module_href(pi_json_document *document, const procinspect_module_info *info) {
    char tail[32];
    snprintf(tail, sizeof tail, "/modules/%" PRIx64, info->base_address);
    return pi_json_href(document, info->pid, tail);
}

static void put_module_item(pi_json_object *object, const procinspect_module_info *info) {
    pi_json_document *document = object->document;
    pi_json_put(object, "base_address", base_address_text(info->base_address));
    if (pi_json_knows(object, "file_name", PROCINSPECT_MODULE_PATH,
                      json_string_nocheck(unknown_file_name)))
        pi_json_put(object, "file_name", pi_json_text(document, info->file_name));
    pi_json_put(object, "href", module_href(document, info));
    pi_json_put_text(object, "file_version", PROCINSPECT_MODULE_FILE_VERSION, info->file_version);
}

static int by_file_name_then_base(const void *left, const void *right) {
    const procinspect_module_info *a = *(const procinspect_module_info *const *)left;
    const procinspect_module_info *b = *(const procinspect_module_info *const *)right;
    int difference = strcmp(a->file_name != NULL ? a->file_name : unknown_file_name,
                            b->file_name != NULL ? b->file_name : unknown_file_name);
    return difference != 0
               ? difference
               : (a->base_address > b->base_address) - (a->base_address < b->base_address);
}

json_t *pi_json_module_items(pi_json_document *document, const procinspect_module_list *list) {
    json_t *array = json_array();
    size_t count = list != NULL ? list->count : 0;
    const procinspect_module_info **sorted = calloc(count + 1, sizeof *sorted);
    if (sorted == NULL) {
        document->failed = true;
        return array;
    }
    if (count != 0)
        memcpy(sorted, list->items, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_file_name_then_base);
    for (size_t i = 0; i < count && !document->failed; i++) {
        const procinspect_module_info *info = sorted[i];
        pi_json_object object;
        pi_json_object_begin(&object, document, info->known, info->unavailable,
                             info->unavailable_count);
        put_module_item(&object, info);
        pi_json_append(document, array, pi_json_item_end(&object));
    }
    free(sorted);
    return array;
}

static json_t *module_object(pi_json_document *document, const procinspect_module_info *info) {
    pi_json_object object;
    pi_json_object_begin(&object, document, info->known, info->unavailable,
                         info->unavailable_count);
    put_module_item(&object, info);
    pi_json_put_text(&object, "file_path", PROCINSPECT_MODULE_PATH, info->path);
    pi_json_put(&object, "module_memory_size", pi_json_count(info->size_bytes));
    pi_json_put_unavailable(&object, "file_description", json_null(),
                            "ELF files carry no description.");
    pi_json_put_text(&object, "product", PROCINSPECT_MODULE_PACKAGE, info->package_name);
    pi_json_put_text(&object, "product_version", PROCINSPECT_MODULE_PACKAGE, info->package_version);
    pi_json_put_boolean(&object, "is_debug", PROCINSPECT_MODULE_IS_DEBUG, info->is_debug);
    pi_json_put_unavailable(&object, "language", json_null(), "ELF files name no language.");
    if (pi_json_knows(&object, "build_id", PROCINSPECT_MODULE_BUILD_ID, json_null()))
        pi_json_put(&object, "build_id",
                    pi_json_build_id(document, info->build_id, info->build_id_length));
    return pi_json_object_end(&object);
}

int32_t procinspect_json_module_list(const procinspect_module_list *list,
                                     const procinspect_json_options *options,
                                     const procinspect_json **json, procinspect_error *error) {
    pi_json_document document;
    int32_t code = pi_json_document_begin(&document, "procinspect_json_module_list", list, json,
                                          options, error);
    if (code != PROCINSPECT_OK)
        return code;
    return pi_json_document_end(&document, pi_json_module_items(&document, list), json, error);
}

int32_t procinspect_json_module(const procinspect_module_info *info,
                                const procinspect_json_options *options,
                                const procinspect_json **json, procinspect_error *error) {
    pi_json_document document;
    int32_t code =
        pi_json_document_begin(&document, "procinspect_json_module", info, json, options, error);
    if (code != PROCINSPECT_OK)
        return code;
    return pi_json_document_end(&document, module_object(&document, info), json, error);
}
