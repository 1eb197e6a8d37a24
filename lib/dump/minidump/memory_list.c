/* SPDX-License-Identifier: MIT */
#include "dump/minidump/minidump.h"

static uint64_t listed_bytes(const pi_placed_range *item) {
    return item->range.address + item->range.size_bytes - item->listed_from;
}

static uint64_t region_count(const pi_placement *placement) {
    uint64_t count = 0;
    for (size_t i = 0; i < placement->count; i++) {
        uint64_t size = listed_bytes(&placement->items[i]);
        count += size == 0 ? 0 : (size - 1) / PI_READER_MAX_REGION_BYTES + 1;
    }
    return count;
}

uint64_t pi_memory_list_size_bytes(const pi_placement *placement) {
    return 4 + region_count(placement) * PI_MINIDUMP_MEMORY_DESCRIPTOR_BYTES;
}

/* A range that is too large for readers becomes several regions, which stand in the file in a row.
 */
static void put_range(pi_minidump *minidump, const pi_placed_range *item) {
    pi_layout *layout = &minidump->layout;
    uint64_t address = item->listed_from, left = listed_bytes(item);
    uint64_t position = item->position + (address - item->range.address);
    while (left != 0) {
        uint64_t size = left < PI_READER_MAX_REGION_BYTES ? left : PI_READER_MAX_REGION_BYTES;
        pi_layout_u64(layout, address);
        pi_layout_u32(layout, (uint32_t)size);
        pi_layout_u32(layout, pi_layout_rva(layout, position));
        address += size;
        left -= size;
        position += size;
    }
}

void pi_write_memory_list(pi_minidump *minidump) {
    const pi_placement *placement = &minidump->placement;
    pi_layout *layout = &minidump->layout;
    uint64_t begin = layout->position;
    uint64_t count = region_count(placement);
    if (count > UINT32_MAX)
        pi_layout_fail(layout, PROCINSPECT_ERROR_TOO_LARGE);
    pi_layout_u32(layout, (uint32_t)count);
    for (size_t i = 0; i < placement->count && layout->failure == 0; i++)
        put_range(minidump, &placement->items[i]);
    pi_minidump_add_stream(minidump, PI_STREAM_MEMORY_LIST, begin);
}
