/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_SMAPS_H
#define PI_PLATFORM_LINUX_SMAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The text of /proc/PID/smaps, line by line, as far as it tells which mappings madvise wants left
 * out of cores: a line as in maps, numbers that don't matter here, and "VmFlags: rd wr … dd". The
 * kernel leaves some of its own making out as well, devices and rings.
 */
typedef struct pi_smaps_mapping {
    uint64_t start;
    uint64_t end;
    bool is_dontdump;
} pi_smaps_mapping;

/* Takes a line without its end; true where it completes the mapping, of which all is known then.
 * Zero-initialised before the first. */
bool pi_smaps_take_line(pi_smaps_mapping *mapping, const char *line, size_t length);

#endif
