/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_AUXV_H
#define PI_PLATFORM_LINUX_AUXV_H

#include <stddef.h>
#include <stdint.h>

/* What the kernel told the program at its start (/proc/PID/auxv); 0: not there. */
typedef struct pi_auxv {
    uint64_t entry;               /* AT_ENTRY */
    uint64_t vdso;                /* AT_SYSINFO_EHDR */
    uint64_t program_header_size; /* AT_PHENT: 56 in 64-bit programs, 32 in 32-bit ones */
} pi_auxv;

/* Of a 64-bit or a 32-bit process, little-endian. */
pi_auxv pi_auxv_parse(const void *bytes, size_t length);

#endif
