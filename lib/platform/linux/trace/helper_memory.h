/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_TRACE_HELPER_MEMORY_H
#define PI_PLATFORM_LINUX_TRACE_HELPER_MEMORY_H

#include <stddef.h>

/*
 * Compilers write calls of memcpy and memset where the source has none: for structs that are copied
 * or cleared. What runs in the helper process gets functions of its own for that, whatever the
 * compiler and its options: meson.build puts this file before each of its sources.
 */
void *pi_helper_memcpy(void *to, const void *from, size_t length);
void *pi_helper_memset(void *to, int byte, size_t length);

__asm__(".set memcpy, pi_helper_memcpy\n\t"
        ".set memset, pi_helper_memset");

#endif
