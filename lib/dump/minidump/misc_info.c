/* SPDX-License-Identifier: MIT */
#include "dump/minidump/minidump.h"

static const uint64_t second_ns = 1000000000;

static uint32_t whole_seconds(uint64_t time_ns) {
    uint64_t seconds = time_ns / second_ns;
    return seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
}

/* The first version of the structure: what later ones add (clock rates, time zone, build) isn't
 * known. */
void pi_write_misc_info(pi_minidump *minidump) {
    const pi_snapshot *snapshot = minidump->snapshot;
    pi_layout *layout = &minidump->layout;
    uint64_t begin = layout->position;
    int times_known = snapshot->process_start_unix_ns > 0;
    pi_layout_u32(layout, PI_MINIDUMP_MISC_INFO_BYTES);
    pi_layout_u32(layout, PI_MISC_INFO_PROCESS_ID | (times_known ? PI_MISC_INFO_PROCESS_TIMES : 0));
    pi_layout_u32(layout, (uint32_t)snapshot->pid);
    pi_layout_u32(layout,
                  times_known ? whole_seconds((uint64_t)snapshot->process_start_unix_ns) : 0);
    pi_layout_u32(layout, times_known ? whole_seconds(snapshot->process_user_cpu_ns) : 0);
    pi_layout_u32(layout, times_known ? whole_seconds(snapshot->process_kernel_cpu_ns) : 0);
    pi_minidump_add_stream(minidump, PI_STREAM_MISC_INFO, begin);
}
