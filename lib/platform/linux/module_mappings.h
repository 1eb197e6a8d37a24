/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_MODULE_MAPPINGS_H
#define PI_PLATFORM_LINUX_MODULE_MAPPINGS_H

#include <procinspect/error.h>

#include "platform/linux/maps.h"

/* A mapping of a file, and its place among all mappings of files. */
typedef struct pi_file_mapping {
    pi_mapping mapping; /* its path points into the text */
    size_t sequence;
} pi_file_mapping;

/* What a process has mapped, sorted so that what belongs to one file stands together, by ascending
 * address. One file is one device, inode and path: on some file systems the first two alone are
 * not enough. */
typedef struct pi_file_mappings {
    pi_file_mapping *items;
    size_t count;
    pi_mapping vdso; /* end 0: there is none */
} pi_file_mappings;

/* vdso_address: AT_SYSINFO_EHDR, or 0. NO_MEMORY is the only failure. The text must outlive it. */
int32_t pi_file_mappings_read(const char *maps, size_t length, uint64_t vdso_address,
                              pi_file_mappings *mappings, procinspect_error *error);
void pi_file_mappings_free(pi_file_mappings *mappings);

/* How many items from `first` on are of the same file. */
size_t pi_file_mappings_of_one_file(const pi_file_mappings *mappings, size_t first);

#endif
