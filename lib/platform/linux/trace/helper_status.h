/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_TRACE_HELPER_STATUS_H
#define PI_PLATFORM_LINUX_TRACE_HELPER_STATUS_H

#include <stddef.h>

/*
 * What stands behind "KEY:" and its blanks in a file of such lines, /proc/PID/status say, cut to
 * the capacity and not ended by a NUL: its length, -ENODATA where no line has the key, or another
 * negative errno. The file is read to there, in pieces: the line of a process's groups alone can
 * have 700 KB, and most keys stand behind it.
 */
long pi_helper_find_value(int file, const char *key, char *value, size_t capacity);

#endif
