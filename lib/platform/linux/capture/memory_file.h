/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_MEMORY_FILE_H
#define PI_PLATFORM_LINUX_CAPTURE_MEMORY_FILE_H

#include <stddef.h>
#include <stdint.h>

typedef enum pi_memory_reading {
    PI_MEMORY_READ_WELL,
    PI_MEMORY_READ_IN_PART, /* pages that can't be read are zero */
    PI_MEMORY_READ_NOTHING  /* there is no memory any more */
} pi_memory_reading;

/* Reads [address, address + length) from an open /proc/PID/mem. From any thread. */
pi_memory_reading pi_memory_file_read(int file, uint64_t address, unsigned char *to, size_t length);

#endif
