/* SPDX-License-Identifier: MIT */
#include "dump/minidump/minidump.h"

static uint64_t region_count(const pi_snapshot *snapshot) {
    uint64_t count = 0;
    for (size_t i = 0; i < snapshot->memory_count; i++)
        count += (snapshot->memory[i].size_bytes - 1) / PI_READER_MAX_REGION_BYTES + 1;
    return count;
}

uint64_t pi_memory_list_size_bytes(const pi_snapshot *snapshot) {
    return 4 + region_count(snapshot) * PI_MINIDUMP_MEMORY_DESCRIPTOR_BYTES;
}

/* A range that is too large for readers becomes several regions, which stand in the file in a row.
 */
static void put_range(pi_minidump *minidump, size_t index) {
    pi_layout *layout = &minidump->layout;
    pi_memory_range range = minidump->snapshot->memory[index];
    uint64_t position = minidump->memory_positions[index];
    while (range.size_bytes != 0) {
        uint64_t size = range.size_bytes < PI_READER_MAX_REGION_BYTES ? range.size_bytes
                                                                      : PI_READER_MAX_REGION_BYTES;
        pi_layout_u64(layout, range.address);
        pi_layout_u32(layout, (uint32_t)size);
        pi_layout_u32(layout, pi_layout_rva(layout, position));
        range.address += size;
        range.size_bytes -= size;
        position += size;
    }
}

void pi_write_memory_list(pi_minidump *minidump) {
    const pi_snapshot *snapshot = minidump->snapshot;
    pi_layout *layout = &minidump->layout;
    uint64_t begin = layout->position;
    uint64_t count = region_count(snapshot);
    if (count > UINT32_MAX)
        pi_layout_fail(layout, PROCINSPECT_ERROR_TOO_LARGE);
    pi_layout_u32(layout, (uint32_t)count);
    for (size_t i = 0; i < snapshot->memory_count && layout->failure == 0; i++)
        put_range(minidump, i);
    pi_minidump_add_stream(minidump, PI_STREAM_MEMORY_LIST, begin);
}
