/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_STATUS_H
#define PI_PLATFORM_LINUX_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which members of pi_status a status file had. */
enum {
    PI_STATUS_TGID = 0x1,
    PI_STATUS_TRACER = 0x2,
    PI_STATUS_VM_SIZE = 0x4,
    PI_STATUS_VM_PEAK = 0x8,
    PI_STATUS_VM_RSS = 0x10,
    PI_STATUS_VM_HWM = 0x20,
    PI_STATUS_VM_DATA = 0x40,
    PI_STATUS_VM_SWAP = 0x80
};

/* The members of /proc/PID/status that we use. A process without memory of its own has no Vm…
 * lines. */
typedef struct pi_status {
    uint32_t known; /* PI_STATUS_… */
    int32_t thread_group_id;
    int32_t tracer_pid;
    uint64_t vm_size_bytes;
    uint64_t vm_peak_bytes;
    uint64_t vm_rss_bytes;
    uint64_t vm_hwm_bytes;
    uint64_t vm_data_bytes;
    uint64_t vm_swap_bytes;
} pi_status;

/* Takes whole lines only; what is not there, or is no number, is not known. */
void pi_status_parse(const char *bytes, size_t length, pi_status *status);

#endif
