/* SPDX-License-Identifier: MIT */
#ifndef PI_BASE_OPTIONS_H
#define PI_BASE_OPTIONS_H

#include <stddef.h>

#include <procinspect/error.h>

/* The size of a struct that ends with this member: what a struct's first version had. Not sizeof,
 * which grows with the struct and would shut out callers that were compiled before it did. */
#define PI_SIZE_THROUGH(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/*
 * Options structs that callers hand in. `given` may come from a caller that was compiled with older
 * headers (its struct is shorter: what it doesn't have is zero, the default) or newer ones (longer:
 * what this library doesn't know must be zero). Copies it into `known`, which has known_size bytes.
 * NULL for given means all zero.
 *
 * `name` is the struct's, for the message; smallest_size is the size the struct had in its first
 * version, PI_SIZE_THROUGH its last member then.
 */
int32_t pi_options_take(const void *given, void *known, size_t known_size, size_t smallest_size,
                        const char *name, procinspect_error *error);

/* For _init functions: zero but for struct_size. A NULL, or a size too small for struct_size, does
 * nothing. */
void pi_options_init(void *options, size_t struct_size);

#endif
