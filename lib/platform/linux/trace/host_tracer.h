/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_TRACE_HOST_TRACER_H
#define PI_PLATFORM_LINUX_TRACE_HOST_TRACER_H

#include <procinspect/cancellation.h>
#include <procinspect/error.h>

/*
 * Whose turn it is to have the host itself traced. A process has one tracer, and under Yama's
 * ptrace_scope 1 it names one (PR_SET_PTRACER), which replaces whom it had named before: two
 * helpers at once would take both from each other. The kernel has these once for each process, and
 * so have we: with the marks of trace/helper_mark.h, this is the only state that isn't a context's.
 */

/* Waits until nobody else has the turn. CANCELLED is the only failure. */
int32_t pi_host_tracer_take_turn(const procinspect_cancellation *cancellation,
                                 procinspect_error *error);

/* By the thread that took it. */
void pi_host_tracer_end_turn(void);

#endif
