/* SPDX-License-Identifier: MIT */
#include "dump/minidump/memory_placement.h"

#include <stdlib.h>

#include "dump/minidump/minidump.h"

enum { PAGE_BYTES = 4096, CODE_BYTES = 128 };

/* Of a stack, what stands where MemoryList can address it in any case. */
#define STACK_BYTES (UINT64_C(1) << 20)

int pi_snapshot_has_full_memory(const pi_snapshot *snapshot) {
    return (snapshot->report.effective_type & PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY) != 0;
}

void pi_placement_free(pi_placement *placement) {
    free(placement->items);
    *placement = (pi_placement){0};
}

const pi_placed_range *pi_placement_find(const pi_placement *placement, uint64_t address) {
    size_t low = 0, high = placement->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const pi_placed_range *item = &placement->items[middle];
        if (item->range.address > address)
            high = middle;
        else if (address - item->range.address >= item->range.size_bytes)
            low = middle + 1;
        else
            return item;
    }
    return NULL;
}

static uint64_t end_of(pi_memory_range range) {
    return range.address + range.size_bytes;
}

/* What MemoryList is to hold of a full dump, by ascending address; they may overlap. */
typedef struct needs {
    pi_memory_range *items;
    size_t count;
} needs;

static void need(needs *all, uint64_t start, uint64_t size_bytes) {
    if (size_bytes != 0)
        all->items[all->count++] = (pi_memory_range){start, size_bytes};
}

static int compare_ranges(const void *left, const void *right) {
    uint64_t a = ((const pi_memory_range *)left)->address;
    uint64_t b = ((const pi_memory_range *)right)->address;
    return (a > b) - (a < b);
}

static int find_needs(const pi_snapshot *snapshot, needs *all) {
    all->count = 0;
    all->items = malloc((2 * snapshot->thread_count + 1) * sizeof *all->items);
    if (all->items == NULL)
        return 0;
    for (size_t i = 0; i < snapshot->thread_count; i++) {
        const pi_thread_snapshot *thread = &snapshot->threads[i];
        if (!thread->has_registers)
            continue;
        uint64_t stack_bytes = thread->stack.size_bytes;
        need(all, thread->stack.address, stack_bytes < STACK_BYTES ? stack_bytes : STACK_BYTES);
        uint64_t code =
            pi_registers_instruction_pointer(snapshot->architecture, &thread->registers);
        need(all, code < CODE_BYTES ? 0 : code - CODE_BYTES,
             code > UINT64_MAX - CODE_BYTES ? 0 : 2 * CODE_BYTES);
    }
    qsort(all->items, all->count, sizeof *all->items, compare_ranges);
    return 1;
}

static void append(pi_placement *placement, uint64_t start, uint64_t end, int comes_first) {
    if (start >= end)
        return;
    placement->items[placement->count++] = (pi_placed_range){
        .range = {start, end - start}, .listed_from = end, .comes_first = comes_first};
}

/* The snapshot's ranges as they are. */
static void place_whole(const pi_snapshot *snapshot, pi_placement *placement) {
    placement->count = 0;
    for (size_t i = 0; i < snapshot->memory_count; i++)
        append(placement, snapshot->memory[i].address, end_of(snapshot->memory[i]), 0);
}

/* The same, with the pages that are needed as ranges of their own. */
static void place_divided(const pi_snapshot *snapshot, const needs *all, pi_placement *placement) {
    size_t next = 0;
    placement->count = 0;
    for (size_t i = 0; i < snapshot->memory_count; i++) {
        uint64_t at = snapshot->memory[i].address, end = end_of(snapshot->memory[i]);
        while (next < all->count && all->items[next].address < end) {
            const uint64_t in_page = PAGE_BYTES - 1;
            uint64_t first = all->items[next].address & ~in_page;
            uint64_t last = (end_of(all->items[next]) + in_page) & ~in_page;
            for (next++; next < all->count && all->items[next].address <= last; next++)
                if (end_of(all->items[next]) > last)
                    last = (end_of(all->items[next]) + in_page) & ~in_page;
            first = first < at ? at : first;
            last = last > end ? end : last;
            append(placement, at, first, 0);
            append(placement, first, last, 1);
            at = last > at ? last : at;
        }
        append(placement, at, end, 0);
    }
}

static void mark_listed(const needs *all, pi_placement *placement) {
    size_t next = 0;
    for (size_t i = 0; i < placement->count; i++) {
        pi_placed_range *item = &placement->items[i];
        while (next < all->count && end_of(all->items[next]) <= item->range.address)
            next++;
        if (next == all->count || all->items[next].address >= end_of(item->range))
            continue;
        uint64_t from = all->items[next].address;
        item->listed_from = from < item->range.address ? item->range.address : from;
    }
}

static uint64_t place_those(pi_placement *placement, int comes_first, uint64_t position) {
    for (size_t i = 0; i < placement->count; i++) {
        if (placement->items[i].comes_first != comes_first)
            continue;
        placement->items[i].position = position;
        position += placement->items[i].range.size_bytes;
    }
    return position;
}

/* Gives every range its place; where the last one of those ends that MemoryList has. */
static uint64_t set_positions(const pi_snapshot *snapshot, uint64_t begin,
                              pi_placement *placement) {
    uint64_t position = begin + pi_thread_list_size_bytes(snapshot) +
                        pi_memory_list_size_bytes(placement) +
                        pi_memory64_list_size_bytes(placement);
    position =
        (position + PI_MINIDUMP_DATA_ALIGNMENT - 1) & ~(uint64_t)(PI_MINIDUMP_DATA_ALIGNMENT - 1);
    place_those(placement, 0, place_those(placement, 1, position));
    uint64_t end = 0;
    for (size_t i = 0; i < placement->count; i++) {
        const pi_placed_range *item = &placement->items[i];
        if (item->listed_from < end_of(item->range) &&
            item->position + item->range.size_bytes > end)
            end = item->position + item->range.size_bytes;
    }
    return end;
}

static void place_full(const pi_snapshot *snapshot, const needs *all, uint64_t begin,
                       pi_placement *placement) {
    place_whole(snapshot, placement);
    mark_listed(all, placement);
    if (set_positions(snapshot, begin, placement) <= UINT32_MAX)
        return;
    place_divided(snapshot, all, placement);
    mark_listed(all, placement);
    for (size_t i = 0; i < placement->count; i++)
        if (!placement->items[i].comes_first)
            placement->items[i].listed_from = end_of(placement->items[i].range);
    set_positions(snapshot, begin, placement);
}

int pi_placement_make(const pi_snapshot *snapshot, uint64_t begin, pi_placement *placement) {
    *placement = (pi_placement){.is_full = pi_snapshot_has_full_memory(snapshot)};
    needs all = {0};
    size_t parts = placement->is_full ? 4 * snapshot->thread_count : 0;
    placement->items = calloc(snapshot->memory_count + parts + 1, sizeof *placement->items);
    if (placement->items == NULL || (placement->is_full && !find_needs(snapshot, &all))) {
        pi_placement_free(placement);
        return 0;
    }
    if (placement->is_full) {
        place_full(snapshot, &all, begin, placement);
    } else {
        place_whole(snapshot, placement);
        for (size_t i = 0; i < placement->count; i++)
            placement->items[i].listed_from = placement->items[i].range.address;
        set_positions(snapshot, begin, placement);
    }
    free(all.items);
    return 1;
}
