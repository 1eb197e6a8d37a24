/* SPDX-License-Identifier: MIT */
#ifndef PI_MODEL_FILE_VERSION_H
#define PI_MODEL_FILE_VERSION_H

#include <stddef.h>
#include <stdint.h>

typedef struct pi_file_version {
    const char *digits; /* in the name; NULL where there are none */
    size_t length;
    uint32_t parts[4]; /* saturating; 0 where there are fewer */
} pi_file_version;

/* "1.2.13" of "libz.so.1.2.13": the numbers behind the last ".so." of a file name or SONAME. */
pi_file_version pi_file_version_of(const char *name, size_t length);

#endif
