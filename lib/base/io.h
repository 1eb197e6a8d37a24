/* SPDX-License-Identifier: MIT */
#ifndef PI_BASE_IO_H
#define PI_BASE_IO_H

#include <stddef.h>

/* Bytes that grow as they are read; one buffer serves many files. Zero-initialised is empty. */
typedef struct pi_buffer {
    char *data;
    size_t length;
    size_t capacity;
} pi_buffer;

void pi_buffer_free(pi_buffer *buffer);

/* Room for at least this many bytes in all; -ENOMEM. */
int pi_buffer_reserve(pi_buffer *buffer, size_t capacity);

/*
 * Replaces the buffer's bytes by those of the file at `path` relative to `directory`, up to limit
 * bytes: a longer file is cut there. Returns 0 or a negative errno. Made for /proc, whose files
 * have no size.
 */
int pi_read_file_at(int directory, const char *path, pi_buffer *buffer, size_t limit);

/* The same for an open descriptor, from its position on. */
int pi_read_descriptor(int descriptor, pi_buffer *buffer, size_t limit);

/* Closes it if it is one (>= 0), leaving errno alone. */
void pi_close(int descriptor);

#endif
