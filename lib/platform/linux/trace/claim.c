/* SPDX-License-Identifier: MIT */
#include "platform/linux/trace/claim.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

static int own_thread(void) {
    return (int)syscall(SYS_gettid);
}

/* By a fork, from a thread of the parent's. */
static bool is_left_behind(int thread, int own) {
    return thread == own || (syscall(SYS_tgkill, getpid(), thread, 0) != 0 && errno == ESRCH);
}

bool pi_claim_try(pi_claim *claim) {
    int thread = 0, own = own_thread();
    if (atomic_compare_exchange_strong(claim, &thread, own))
        return true;
    return is_left_behind(thread, own) && atomic_compare_exchange_strong(claim, &thread, own);
}

void pi_claim_end(pi_claim *claim) {
    int own = own_thread();
    atomic_compare_exchange_strong(claim, &own, 0);
}
