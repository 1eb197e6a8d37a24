/* SPDX-License-Identifier: MIT */
#ifndef PI_ZIP_RANDOM_LOOK_H
#define PI_ZIP_RANDOM_LOOK_H

#include <stdbool.h>
#include <stddef.h>

/* Whether deflate would find nothing in these bytes, as in what is compressed or encrypted already:
 * all byte values are about as common, and nothing is there twice. A guess from samples; too few
 * bytes never look random. */
bool pi_zip_looks_random(const unsigned char *bytes, size_t length);

#endif
