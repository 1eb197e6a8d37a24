/* SPDX-License-Identifier: MIT */
#include "platform/linux/host_tracer.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cancellation.h"

enum { STEP_NS = 1000000 };

/* The thread whose turn it is, by its kernel id; 0 for none. No mutex: a fork in the midst of a
 * turn would leave it locked in the child, where the thread that has the turn doesn't exist. */
static atomic_int turn;

static bool is_left_behind(int thread, int own) {
    return thread == own || (syscall(SYS_tgkill, getpid(), thread, 0) != 0 && errno == ESRCH);
}

int32_t pi_host_tracer_take_turn(const procinspect_cancellation *cancellation,
                                 procinspect_error *error) {
    int own = (int)syscall(SYS_gettid);
    for (;;) {
        int thread = 0;
        if (atomic_compare_exchange_strong(&turn, &thread, own))
            return PROCINSPECT_OK;
        if (is_left_behind(thread, own) && atomic_compare_exchange_strong(&turn, &thread, own))
            return PROCINSPECT_OK;
        if (pi_cancellation_is_requested(cancellation))
            return pi_error_cancelled(error);
        struct timespec step = {0, STEP_NS};
        nanosleep(&step, NULL);
    }
}

void pi_host_tracer_end_turn(void) {
    int own = (int)syscall(SYS_gettid);
    atomic_compare_exchange_strong(&turn, &own, 0);
}
