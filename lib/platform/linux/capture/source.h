/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_SOURCE_H
#define PI_PLATFORM_LINUX_CAPTURE_SOURCE_H

#include "model/snapshot.h"

/*
 * A source that reads from memory of our own: `data`, a mapping of data_bytes, holds these ranges
 * one behind the other. It takes the mapping, and returns what the ranges don't use; the ranges
 * stay the caller's and must outlive it. NULL when out of memory: the mapping stays the caller's.
 */
pi_memory_source *pi_capture_source_new(void *data, size_t data_bytes,
                                        const pi_memory_range *ranges, size_t count);

/* IO: what a source answers to whoever asks for what it doesn't have. */
int32_t pi_capture_not_held(uint64_t address, size_t length, procinspect_error *error);

#endif
