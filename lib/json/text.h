/* SPDX-License-Identifier: MIT */
#ifndef PI_JSON_TEXT_H
#define PI_JSON_TEXT_H

#include <stdbool.h>

#include <jansson.h>
#include <procinspect/json.h>

/* The tree as the text that is handed out; the tree stays the caller's. Its strings must be UTF-8.
 * Errors: NO_MEMORY, TOO_LARGE. */
int32_t pi_json_render(const json_t *root, bool indent, const procinspect_json **json,
                       procinspect_error *error);

#endif
