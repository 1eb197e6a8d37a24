/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_READ_H
#define PI_PLATFORM_LINUX_CAPTURE_READ_H

#include "model/snapshot.h"
#include "platform/linux/trace/helper.h"

/* Reading the memory of a process that stands still, in the helper. */

typedef struct pi_memory_reader {
    int32_t tid;   /* a thread of the process */
    int directory; /* and its own, in /proc */
    pi_helper *helper;
    uint64_t deadline_ns;      /* by CLOCK_MONOTONIC */
    uint64_t unreadable_bytes; /* result: they are zero in the buffer */
} pi_memory_reader;

typedef enum pi_read_result {
    PI_READ_OK = 0,
    PI_READ_TOO_LATE, /* the deadline passed */
    PI_READ_MUST_END  /* the host ended or asked to stop */
} pi_read_result;

/* Copies the ranges into the buffer, one behind the other. */
pi_read_result pi_memory_read_ranges(pi_memory_reader *reader, const pi_memory_range *ranges,
                                     size_t count, unsigned char *buffer);

#endif
