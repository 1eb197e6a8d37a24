/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/access.h"

#include <errno.h>
#include <unistd.h>

#include "platform/linux/capture/parts.h"
#include "platform/linux/capture/refusal.h"

/* The helper shares the host's memory, so the kernel doesn't ask anything for that. Scope 1 is
 * dealt with when it comes to it: the host names its helper as its tracer. */
static bool yama_forbids_own(const pi_system *system) {
    int scope = pi_yama_scope(system);
    if (scope < 2)
        return false;
    pi_refusal_facts facts = {0};
    pi_refusal_read_own(system, &facts);
    return scope > 2 || !facts.own_may_trace;
}

int32_t pi_capture_ask_access(const pi_process *living,
                              const procinspect_cancellation *cancellation, int *os_errno,
                              procinspect_error *error) {
    pi_access access = {.directory = living->directory};
    pi_helper_job job = {.run = pi_access_run,
                         .argument = &access,
                         .proc = living->system->proc,
                         .cancellation = cancellation};
    int32_t code = pi_helper_run(&job, error);
    if (code != PROCINSPECT_OK)
        return code;
    if (access.os_errno == 0 && living->pid == getpid() && yama_forbids_own(living->system))
        access.os_errno = EPERM;
    *os_errno = access.os_errno;
    return PROCINSPECT_OK;
}
