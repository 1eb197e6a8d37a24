/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_TRACE_CLAIM_H
#define PI_PLATFORM_LINUX_TRACE_CLAIM_H

#include <stdatomic.h>
#include <stdbool.h>

/*
 * What the kernel has once in a process, one of its threads has at a time: by its kernel id, 0 for
 * nobody. No mutex: a fork meanwhile would leave it locked in the child, where the thread that has
 * it doesn't exist.
 */
typedef atomic_int pi_claim;

/* Takes it, unless another thread of this process has it. */
bool pi_claim_try(pi_claim *claim);

/* By the thread that took it. */
void pi_claim_end(pi_claim *claim);

#endif
