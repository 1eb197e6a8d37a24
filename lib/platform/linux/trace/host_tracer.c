/* SPDX-License-Identifier: MIT */
#include "platform/linux/trace/host_tracer.h"

#include <time.h>

#include "base/cancellation.h"
#include "platform/linux/trace/claim.h"

enum { STEP_NS = 1000000 };

static pi_claim turn;

int32_t pi_host_tracer_take_turn(const procinspect_cancellation *cancellation,
                                 procinspect_error *error) {
    while (!pi_claim_try(&turn)) {
        if (pi_cancellation_is_requested(cancellation))
            return pi_error_cancelled(error);
        struct timespec step = {0, STEP_NS};
        nanosleep(&step, NULL);
    }
    return PROCINSPECT_OK;
}

void pi_host_tracer_end_turn(void) {
    pi_claim_end(&turn);
}
