/* SPDX-License-Identifier: MIT */
#include "dump/minidump/minidump.h"

#include <stdlib.h>

void pi_write_thread_names(pi_minidump *minidump) {
    const pi_snapshot *snapshot = minidump->snapshot;
    pi_layout *layout = &minidump->layout;
    uint32_t *name_rvas = calloc(snapshot->thread_count + 1, sizeof *name_rvas);
    if (name_rvas == NULL) {
        pi_layout_fail(layout, PROCINSPECT_ERROR_NO_MEMORY);
        return;
    }
    uint32_t count = 0;
    for (size_t i = 0; i < snapshot->thread_count; i++) {
        if (snapshot->threads[i].name.data == NULL || !pi_thread_is_listed(snapshot, i))
            continue;
        name_rvas[i] = pi_minidump_put_string(minidump, snapshot->threads[i].name, (pi_bytes){0});
        count++;
    }
    pi_layout_align(layout, 4);
    uint64_t begin = layout->position;
    pi_layout_u32(layout, count);
    for (size_t i = 0; i < snapshot->thread_count; i++) {
        if (name_rvas[i] == 0)
            continue;
        pi_layout_u32(layout, (uint32_t)snapshot->threads[i].tid);
        pi_layout_u64(layout, name_rvas[i]);
    }
    pi_minidump_add_stream(minidump, PI_STREAM_THREAD_NAMES, begin);
    free(name_rvas);
}
