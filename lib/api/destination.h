/* SPDX-License-Identifier: MIT */
#ifndef PI_API_DESTINATION_H
#define PI_API_DESTINATION_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <procinspect/cancellation.h>

/*
 * The descriptor of a caller that a stream is written to. Several threads may write to one: at any
 * offset where it is a file, one behind the other where it isn't.
 */
typedef struct pi_destination {
    int descriptor;
    bool is_socket;
    bool is_file; /* a regular one, not open for appending */
    bool uses_offsets;
    int64_t begin_offset;      /* where its position was when that began, */
    int64_t size_before_bytes; /* and its size */
    /* Not 0: a write of more could block however long the reader takes, and no cancellation would
     * end it. So no more than this is written at a time, and only once there is room for it. */
    size_t largest_write;
    const procinspect_cancellation *cancellation;
} pi_destination;

int32_t pi_destination_open(pi_destination *to, int descriptor,
                            const procinspect_cancellation *cancellation, procinspect_error *error);

/* From now on parts of the next length_bytes may be written in any order, where the destination is
 * a file that takes them so: to->uses_offsets. */
void pi_destination_use_offsets(pi_destination *to, uint64_t length_bytes);

/*
 * Writes all of it; `offset_bytes` behind where the destination began, if that uses offsets. Adds
 * to *written what the descriptor took. *write_errno is that of the write that failed, for it may
 * have raised a signal in this thread.
 */
int32_t pi_destination_write(const pi_destination *to, uint64_t offset_bytes,
                             const unsigned char *bytes, size_t length, uint64_t *written,
                             int *write_errno, procinspect_error *error);

/* Puts the position of a file that uses offsets behind the first `length_bytes`. What was written
 * beyond, up to farthest_bytes, is cut off; but what the file had before, and what somebody else
 * has written behind that, stays. */
void pi_destination_finish_offsets(const pi_destination *to, uint64_t length_bytes,
                                   uint64_t farthest_bytes);

/* The signals that a write to a descriptor that is no socket can raise in its thread. */
typedef struct pi_signal_guard {
    sigset_t guarded; /* those of them that weren't pending before */
    sigset_t mask_before;
} pi_signal_guard;

void pi_signal_guard_begin(pi_signal_guard *guard);

/* Takes back the signal that this thread's own write left pending, if it did. */
void pi_signal_guard_end(const pi_signal_guard *guard, int write_errno);

#endif
