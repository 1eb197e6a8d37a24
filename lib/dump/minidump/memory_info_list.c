/* SPDX-License-Identifier: MIT */
#include "dump/minidump/minidump.h"

static int asked(const pi_snapshot *snapshot) {
    return pi_minidump_asks_for(snapshot, PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY_INFO);
}

/* There is no word for memory that can be written and not read: no x86 has such. */
static uint32_t protection(uint32_t access) {
    int executable = (access & PI_ACCESS_EXECUTE) != 0;
    if ((access & PI_ACCESS_WRITE) != 0)
        return executable ? PI_PAGE_EXECUTE_READ_WRITE : PI_PAGE_READ_WRITE;
    if ((access & PI_ACCESS_READ) != 0)
        return executable ? PI_PAGE_EXECUTE_READ : PI_PAGE_READ_ONLY;
    return executable ? PI_PAGE_EXECUTE : PI_PAGE_NO_ACCESS;
}

static uint32_t type_of(pi_region_kind kind) {
    switch (kind) {
    case PI_REGION_IMAGE:
        return PI_MEMORY_TYPE_IMAGE;
    case PI_REGION_MAPPED:
        return PI_MEMORY_TYPE_MAPPED;
    case PI_REGION_PRIVATE:
        break;
    }
    return PI_MEMORY_TYPE_PRIVATE;
}

/*
 * Memory without access is committed, too, as rust's minidump-writer has it: it may hold what was
 * written before the access was taken away. What it was mapped with isn't known: the protection of
 * the allocation is the present one, as there.
 */
static void put_region(pi_layout *layout, const pi_region_snapshot *region) {
    pi_layout_u64(layout, region->range.address);
    pi_layout_u64(layout, region->allocation_address);
    pi_layout_u32(layout, protection(region->access)); /* of the allocation */
    pi_layout_u32(layout, 0);                          /* padding */
    pi_layout_u64(layout, region->range.size_bytes);
    pi_layout_u32(layout, PI_MEMORY_STATE_COMMIT);
    pi_layout_u32(layout, protection(region->access));
    pi_layout_u32(layout, type_of(region->kind));
    pi_layout_u32(layout, 0); /* padding */
}

void pi_write_memory_info_list(pi_minidump *minidump) {
    const pi_snapshot *snapshot = minidump->snapshot;
    pi_layout *layout = &minidump->layout;
    if (!asked(snapshot))
        return;
    pi_layout_align(layout, 8);
    uint64_t begin = layout->position;
    pi_layout_u32(layout, PI_MINIDUMP_MEMORY_INFO_HEADER_BYTES);
    pi_layout_u32(layout, PI_MINIDUMP_MEMORY_INFO_BYTES);
    pi_layout_u64(layout, snapshot->region_count);
    for (size_t i = 0; i < snapshot->region_count && layout->failure == 0; i++)
        put_region(layout, &snapshot->regions[i]);
    pi_minidump_add_stream(minidump, PI_STREAM_MEMORY_INFO_LIST, begin);
}

/* How much is mapped is known only once the process stands. */
uint64_t pi_memory_info_list_least_bytes(const pi_snapshot *beforehand) {
    return asked(beforehand) ? PI_MINIDUMP_MEMORY_INFO_HEADER_BYTES : 0;
}
