/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_LIVE_SOURCE_H
#define PI_PLATFORM_LINUX_CAPTURE_LIVE_SOURCE_H

#include "model/snapshot.h"
#include "platform/linux/capture/work.h"

/* The source of a live dump: what every dump holds is in memory of our own, the rest is read from
 * the running process. */

/* Gives the snapshot, whose memory is that of the hold, such a source: which takes data and file of
 * the work. NO_MEMORY. */
int32_t pi_live_source_new(pi_capture_work *work, pi_snapshot *snapshot, procinspect_error *error);

/* How much of the hold's memory is read from the running process. */
uint64_t pi_live_bytes(const pi_hold *hold);

#endif
