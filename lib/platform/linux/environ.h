/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_ENVIRON_H
#define PI_PLATFORM_LINUX_ENVIRON_H

#include "base/io.h"

/*
 * The file environ at this path into the buffer: NAME=VALUE NUL …, of which at most 4 MiB are
 * taken, and of those the whole variables. 0 or a negative errno.
 */
int pi_environ_file_read(int directory, const char *path, pi_buffer *buffer);

/* The same of a process that lives and whose file was empty: program_start.h. */
int pi_environ_file_read_again(int directory, const char *stat_path, const char *path,
                               pi_buffer *buffer);

#endif
