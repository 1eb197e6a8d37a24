/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_PREDICT_H
#define PI_PLATFORM_LINUX_CAPTURE_PREDICT_H

#include "platform/linux/capture/state.h"

/*
 * In place of the hold, where a capture is only to be predicted: the same plan and choice, made of
 * what /proc tells of the process while it runs. It fills the snapshot as the hold's results would.
 * What it can't tell: the stacks of threads that run, what a signal handler on a stack of its own
 * has interrupted, and what a copy wouldn't have. 0, an error, or PI_CAPTURE_AGAIN.
 */
int32_t pi_capture_predict(pi_capture_state *capture, procinspect_error *error);

#endif
