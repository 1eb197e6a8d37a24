/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_EXECUTABLE_H
#define PI_PLATFORM_LINUX_EXECUTABLE_H

#include <stddef.h>

enum { PI_EXECUTABLE_CAPACITY = 4096 }; /* a page: the kernel gives no longer path */

/*
 * The path of a process's executable without the kernel's " (deleted)". The process's files stand
 * at directory, with the prefix before their names. 0 or a negative errno; path and *length are set
 * then.
 */
int pi_executable_read(int directory, const char *prefix, char path[PI_EXECUTABLE_CAPACITY],
                       size_t *length);

#endif
