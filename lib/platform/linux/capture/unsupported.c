/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "platform/platform.h"

/* Captures on machines where stopping is not written: see meson.build. */

uint32_t pi_capture_types(void) {
    return PROCINSPECT_DUMP_TYPE_NORMAL;
}

int32_t pi_capture(const pi_process *process, const pi_capture_request *request,
                   pi_snapshot **snapshot, procinspect_error *error) {
    (void)process;
    (void)request;
    (void)snapshot;
    return pi_error_set(error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
                        "This build takes no dumps: on Linux that is written for x86-64.");
}
