/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_ACCESS_H
#define PI_PLATFORM_LINUX_CAPTURE_ACCESS_H

#include "platform/linux/trace/helper.h"

/* Opens the file "mem" of a process's directory, for which the kernel asks whether whoever opens it
 * may attach. Runs in the helper, which is who would. */
typedef struct pi_access {
    int directory;
    int os_errno; /* result; 0: it may */
} pi_access;

void pi_access_run(pi_helper *helper, void *argument);

#endif
