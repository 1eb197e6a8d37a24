/* SPDX-License-Identifier: MIT */
#ifndef PI_ZIP_OUTPUT_H
#define PI_ZIP_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include <minizip/ioapi.h>

#include "base/io.h"

/*
 * The file that minizip writes to: bytes that are handed on as they come, and can't be reached any
 * more. When an entry is closed minizip goes back to its local header, puts the sizes there that it
 * didn't know before, and returns to the end. What it writes meanwhile is dropped: the data
 * descriptor has the same, and readers that see bit 3 of the flags look there.
 */
typedef struct pi_zip_output {
    pi_buffer waiting;      /* what has not been handed on, from `begin` on */
    size_t begin;           /* of waiting.data */
    uint64_t end_bytes;     /* all that was ever written */
    uint64_t seen_position; /* where minizip takes itself to be: end_bytes, or somewhere before */
    bool is_closed;         /* nothing is taken any more */
    bool is_out_of_memory;
} pi_zip_output;

/* For zipOpen2_64. The output must stay where it is. */
zlib_filefunc64_def pi_zip_output_functions(pi_zip_output *output);

/* Writes at the end; false when it is closed or there is no memory. */
bool pi_zip_output_write(pi_zip_output *output, const void *bytes, size_t length);

size_t pi_zip_output_waiting_bytes(const pi_zip_output *output);
/* Hands on up to capacity bytes, and returns how many. */
size_t pi_zip_output_hand_on(pi_zip_output *output, void *buffer, size_t capacity);

#endif
