/* SPDX-License-Identifier: MIT */
#include "base/cancellation.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"

struct procinspect_cancellation {
    atomic_int references;
    atomic_bool requested;
};

int32_t procinspect_cancellation_new(procinspect_cancellation **cancellation,
                                     procinspect_error *error) {
    if (cancellation == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_cancellation_new: cancellation is NULL.");
    procinspect_cancellation *made = malloc(sizeof *made);
    if (made == NULL)
        return pi_error_no_memory(error);
    atomic_init(&made->references, 1);
    atomic_init(&made->requested, false);
    *cancellation = made;
    return PROCINSPECT_OK;
}

void procinspect_cancellation_request(procinspect_cancellation *cancellation) {
    if (cancellation != NULL)
        atomic_store(&cancellation->requested, true);
}

void procinspect_cancellation_free(procinspect_cancellation *cancellation) {
    if (cancellation != NULL && atomic_fetch_sub(&cancellation->references, 1) == 1)
        free(cancellation);
}

procinspect_cancellation *pi_cancellation_retain(procinspect_cancellation *cancellation) {
    if (cancellation != NULL)
        atomic_fetch_add(&cancellation->references, 1);
    return cancellation;
}

bool pi_cancellation_is_requested(const procinspect_cancellation *cancellation) {
    return cancellation != NULL && atomic_load(&cancellation->requested);
}

int32_t pi_error_cancelled(procinspect_error *error) {
    return pi_error_set(error, PROCINSPECT_ERROR_CANCELLED, 0,
                        "Stopped because its procinspect_cancellation was requested.");
}
