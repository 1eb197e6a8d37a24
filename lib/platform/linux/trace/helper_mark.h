/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_TRACE_HELPER_MARK_H
#define PI_PLATFORM_LINUX_TRACE_HELPER_MARK_H

#include <procinspect/cancellation.h>
#include <procinspect/error.h>

/*
 * Whose a descriptor is in the table that helpers share with the host. One that is killed in the
 * call that opens a file leaves a descriptor there whose number nobody has heard of. So each helper
 * opens with flags that another one hasn't at the same time, that change nothing for a file of
 * /proc that is only read, and that nobody gives who opens one for himself. They stay with the
 * descriptor, and the host can ask for them.
 *
 * A table is a process's, and so are the marks: with whose turn it is to be traced
 * (trace/host_tracer.h), they are the only state that isn't a context's.
 */

/* Waits until a mark is free, which is at once while fewer than a dozen helpers work. CANCELLED is
 * the only failure. */
int32_t pi_helper_mark_take(const procinspect_cancellation *cancellation, int *mark,
                            procinspect_error *error);

/* By the thread that took it. */
void pi_helper_mark_give_back(int mark);

/* Closes what was opened with this mark; only when nobody opens with it any more. `proc`: /proc. */
void pi_helper_mark_close_all(int mark, int proc);

#endif
