/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_AFFINITY_H
#define PI_PLATFORM_LINUX_AFFINITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The processors that a thread may run on. */
typedef struct pi_affinity {
    bool is_known;
    bool has_more;       /* such as have no bit here */
    uint64_t processors; /* bit n: processor n */
} pi_affinity;

/* From the text of /proc/PID/task/TID/status. */
pi_affinity pi_affinity_parse(const char *status, size_t length);

#endif
