/* SPDX-License-Identifier: MIT */
#ifndef PI_BASE_OPTIONS_H
#define PI_BASE_OPTIONS_H

#include <procinspect/error.h>

/*
 * Options structs that callers hand in. `given` may come from a caller that was compiled with older
 * headers (its struct is shorter: what it doesn't have is zero, the default) or newer ones (longer:
 * what this library doesn't know must be zero). Copies it into `known`, which has known_size bytes.
 * NULL for given means all zero.
 *
 * `name` is the struct's, for the message; smallest_size is the size the struct had in its first
 * version.
 */
int32_t pi_options_take(const void *given, void *known, size_t known_size, size_t smallest_size,
                        const char *name, procinspect_error *error);

/* For _init functions: zero but for struct_size. A NULL, or a size too small for struct_size, does
 * nothing. */
void pi_options_init(void *options, size_t struct_size);

#endif
