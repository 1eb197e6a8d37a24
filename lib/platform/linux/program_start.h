/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_PROGRAM_START_H
#define PI_PLATFORM_LINUX_PROGRAM_START_H

#include <stdbool.h>

#include "base/io.h"

/*
 * Reads cmdline or environ, at `path`, of a process that lives and whose file was empty. In the
 * middle of execve it is: the new memory is there, and arguments and environment aren't in it yet.
 * That is waited for, some milliseconds: 0, and what the file holds then, nothing where the process
 * has none; -EBUSY where it is at it still; or another negative errno. `stat_path` is that of the
 * file stat beside it.
 */
int pi_program_file_read(int directory, const char *stat_path, const char *path, size_t limit,
                         pi_buffer *buffer);

/* What -EBUSY means, and what to do about it. */
extern const char pi_starting_reason[];

/* Of a text of stat: does the process have no arguments and environment yet? False, too, where the
 * kernel doesn't tell this user. */
bool pi_stat_is_starting_program(const char *bytes, size_t length);

#endif
