/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_CANCELLATION_H
#define PROCINSPECT_CANCELLATION_H

#include <procinspect/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A switch that ends calls which are under way, from any thread: a host that sees its client go
 * trips it, and the capture, the stream or the kill (until its first SIGKILL, kill.h) that was
 * given it returns PROCINSPECT_ERROR_CANCELLED soon after, with the target running and nothing left
 * behind.
 *
 * It may be given to any number of calls. Once requested it stays so. Whatever was given it keeps a
 * reference, so it may be freed at any time; the request then can't be made any more.
 */
typedef struct procinspect_cancellation procinspect_cancellation;

/* Free with procinspect_cancellation_free. Errors: INVALID_ARGUMENT (a NULL), NO_MEMORY. */
PROCINSPECT_API int32_t procinspect_cancellation_new(procinspect_cancellation **cancellation,
                                                     procinspect_error *error);

/* Asks whatever was given this to stop. Any thread, also in a signal handler; NULL does nothing. */
PROCINSPECT_API void procinspect_cancellation_request(procinspect_cancellation *cancellation);

/* Gives up the caller's reference. NULL does nothing. */
PROCINSPECT_API void procinspect_cancellation_free(procinspect_cancellation *cancellation);

#ifdef __cplusplus
}
#endif

#endif
