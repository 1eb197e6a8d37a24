/* SPDX-License-Identifier: MIT */
#include "dump/minidump/minidump.h"

uint64_t pi_memory64_list_size_bytes(const pi_placement *placement) {
    return placement->is_full ? PI_MINIDUMP_MEMORY64_HEAD_BYTES +
                                    placement->count * PI_MINIDUMP_MEMORY64_DESCRIPTOR_BYTES
                              : 0;
}

/* The ranges in the order of their data, which stand in a row from the first one's on. */
static void put_those(pi_minidump *minidump, int comes_first) {
    for (size_t i = 0; i < minidump->placement.count; i++) {
        const pi_placed_range *item = &minidump->placement.items[i];
        if (item->comes_first != comes_first)
            continue;
        pi_layout_u64(&minidump->layout, item->range.address);
        pi_layout_u64(&minidump->layout, item->range.size_bytes);
    }
}

void pi_write_memory64_list(pi_minidump *minidump) {
    pi_layout *layout = &minidump->layout;
    if (!minidump->placement.is_full)
        return;
    uint64_t begin = layout->position;
    uint64_t data = begin + pi_memory64_list_size_bytes(&minidump->placement);
    data = (data + PI_MINIDUMP_DATA_ALIGNMENT - 1) & ~(uint64_t)(PI_MINIDUMP_DATA_ALIGNMENT - 1);
    pi_layout_u64(layout, minidump->placement.count);
    pi_layout_u64(layout, data);
    put_those(minidump, 1);
    put_those(minidump, 0);
    pi_minidump_add_stream(minidump, PI_STREAM_MEMORY64_LIST, begin);
}
