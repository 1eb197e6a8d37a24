/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_SPOOL_SOURCE_H
#define PI_PLATFORM_LINUX_CAPTURE_SPOOL_SOURCE_H

#include "platform/linux/capture/spool.h"
#include "platform/linux/capture/state.h"

/* The host's side of a capture by spool. */

/* Starts the writer, which makes the file and finds room in it: nothing was stopped where that
 * fails. */
int32_t pi_spool_begin(const pi_capture_state *capture, pi_capture_work *work,
                       pi_helper_staying **writer, procinspect_error *error);

/* Ends the writer, whose memory the work is. */
void pi_spool_end(pi_capture_work *work, pi_helper_staying *writer);

/* Closes the file, unless a source has it. */
void pi_spool_drop(pi_spool *spool);

/* What the spool failed with, `outcome` being what became of the process. */
int32_t pi_spool_failed(const pi_spool *spool, const char *outcome, procinspect_error *error);

/* A source that reads from the file, which it takes; the ranges stay the caller's and must outlive
 * it. NULL when out of memory. */
pi_memory_source *pi_spool_source_new(pi_spool *spool, const pi_memory_range *ranges, size_t count);

#endif
