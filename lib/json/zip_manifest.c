/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "json/document.h"
#include "json/values.h"

static json_t *crc_text(uint32_t crc) {
    char text[16];
    snprintf(text, sizeof text, "0x%08" PRIx32, crc);
    return json_string_nocheck(text);
}

static bool is_in_zip(const procinspect_zip_file *file) {
    return file->state == PROCINSPECT_ZIP_FILE_WHOLE || file->state == PROCINSPECT_ZIP_FILE_CHANGED;
}

static json_t *file_object(pi_json_document *document, const procinspect_zip_file *file) {
    json_t *object = json_object();
    bool is_there = file->state != PROCINSPECT_ZIP_FILE_ABSENT;
    if (is_in_zip(file))
        pi_json_set(document, object, "name", pi_json_text(document, file->name));
    pi_json_set(document, object, "runtime", pi_json_text(document, file->runtime));
    pi_json_set(document, object, "path", pi_json_text(document, file->path));
    pi_json_set(document, object, "module_path", pi_json_text(document, file->module_path));
    pi_json_set(document, object, "module_build_id",
                pi_json_build_id(document, file->module_build_id, file->module_build_id_length));
    if (is_in_zip(file)) {
        pi_json_set(document, object, "build_id",
                    pi_json_build_id(document, file->build_id, file->build_id_length));
        pi_json_set(document, object, "size_bytes", pi_json_size(file->size_bytes));
        pi_json_set(document, object, "crc32", crc_text(file->crc32));
    }
    pi_json_set(document, object, "from_target",
                json_boolean((file->flags & PROCINSPECT_ZIP_FILE_FROM_TARGET) != 0));
    pi_json_set(
        document, object, is_in_zip(file) ? "is_whole" : "is_there",
        json_boolean(is_in_zip(file) ? file->state == PROCINSPECT_ZIP_FILE_WHOLE : is_there));
    pi_json_set(document, object, "reason", pi_json_text(document, file->reason));
    return object;
}

/* Those that are in the zip, or those that aren't. */
static json_t *files_array(pi_json_document *document, const procinspect_zip_manifest *manifest,
                           bool in_zip) {
    json_t *files = json_array();
    for (size_t i = 0; i < manifest->count && !document->failed; i++)
        if (is_in_zip(manifest->items[i]) == in_zip)
            pi_json_append(document, files, file_object(document, manifest->items[i]));
    return files;
}

int32_t procinspect_json_zip_manifest(const procinspect_zip_manifest *manifest,
                                      const procinspect_json_options *options,
                                      const procinspect_json **json, procinspect_error *error) {
    pi_json_document document;
    int32_t code = pi_json_document_begin(&document, "procinspect_json_zip_manifest", manifest,
                                          json, options, error);
    if (code != PROCINSPECT_OK)
        return code;
    json_t *root = json_object();
    pi_json_set(&document, root, "pid", json_integer(manifest->pid));
    pi_json_set(&document, root, "captured_at_unix_ns",
                json_integer(manifest->captured_at_unix_ns));
    pi_json_set(&document, root, "files", files_array(&document, manifest, true));
    pi_json_set(&document, root, "missing", files_array(&document, manifest, false));
    pi_json_set(&document, root, "more_count", pi_json_count(manifest->more_count));
    return pi_json_document_end(&document, root, json, error);
}
