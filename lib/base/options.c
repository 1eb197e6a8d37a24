/* SPDX-License-Identifier: MIT */
#include "base/options.h"

#include <string.h>

#include "base/error.h"

/* No options struct grows to this: a struct_size beyond it was never set by an _init function. */
enum { LARGEST_OPTIONS = 4096 };

int32_t pi_options_take(const void *given, void *known, size_t known_size, size_t smallest_size,
                        const char *name, procinspect_error *error) {
    uint32_t given_size = (uint32_t)known_size;
    if (given != NULL)
        memcpy(&given_size, given, sizeof given_size);
    if (given_size < smallest_size || given_size > LARGEST_OPTIONS)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "%s: struct_size is %u; initialise the struct with %s_init.", name,
                            (unsigned)given_size, name);
    for (size_t i = known_size; i < given_size; i++)
        if (((const unsigned char *)given)[i] != 0)
            return pi_error_set(
                error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                "%s: byte %zu is set, and this version of the library knows only %zu "
                "bytes; use a newer library or leave newer members at 0.",
                name, i, known_size);
    memset(known, 0, known_size);
    if (given != NULL)
        memcpy(known, given, given_size < known_size ? given_size : known_size);
    memcpy(known, &(uint32_t){(uint32_t)known_size}, sizeof(uint32_t));
    return PROCINSPECT_OK;
}

void pi_options_init(void *options, size_t struct_size) {
    if (options == NULL || struct_size < sizeof(uint32_t) || struct_size > LARGEST_OPTIONS)
        return;
    memset(options, 0, struct_size);
    memcpy(options, &(uint32_t){(uint32_t)struct_size}, sizeof(uint32_t));
}
