/* SPDX-License-Identifier: MIT */
#ifndef PI_BASE_CANCELLATION_H
#define PI_BASE_CANCELLATION_H

#include <stdbool.h>

#include <procinspect/cancellation.h>

/* Another reference, given up with procinspect_cancellation_free; NULL gives NULL. */
procinspect_cancellation *pi_cancellation_retain(procinspect_cancellation *cancellation);

/* NULL is never requested. */
bool pi_cancellation_is_requested(const procinspect_cancellation *cancellation);

int32_t pi_error_cancelled(procinspect_error *error);

#endif
