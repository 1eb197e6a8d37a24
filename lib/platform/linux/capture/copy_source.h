/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_COPY_SOURCE_H
#define PI_PLATFORM_LINUX_CAPTURE_COPY_SOURCE_H

#include "model/snapshot.h"
#include "platform/linux/capture/work.h"

/* The host's side of a capture by copy: which memory it has, and reading it. */

/* Chooses the memory, of the copy's pages and of what was recorded: as the hold has it after that.
 * IO where the copy has ended. */
int32_t pi_copy_choose(pi_hold *hold, procinspect_error *error);

/*
 * A source of these ranges, which stay the caller's and must outlive it, that reads from the copy
 * and from what the work has held beside it. It takes both, the helper that looks after the copy
 * and the work, and ends and frees them. Fails, and takes nothing,
 * with NO_MEMORY or NO_RESOURCES, or IO where the copy has ended.
 */
int32_t pi_copy_source_new(pi_capture_work *work, pi_helper_staying *staying,
                           const pi_memory_range *ranges, size_t count, pi_memory_source **source,
                           procinspect_error *error);

/* Ends the copy and frees the work, where no source was made of them. */
void pi_copy_drop(pi_capture_work *work, pi_helper_staying *staying);

#endif
