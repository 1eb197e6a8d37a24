/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_SUPPORT_ORIGIN_H
#define PI_PLATFORM_LINUX_SUPPORT_ORIGIN_H

#include "platform/linux/file_systems.h"
#include "platform/support.h"

struct pi_support_origin {
    /* In another mount namespace than this process, or nobody knows. */
    bool is_elsewhere;
    /* What belongs to root in this mount namespace it can't have written. Root in the same
     * namespace could, but could as well have written this process: nothing is kept from it. */
    bool is_host_safe;
    int root;                /* where is_elsewhere: its root directory, O_PATH, or -1 */
    pi_file_systems systems; /* its own */
};

#endif
