/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/choice.h"

#include <procinspect/dump.h>

#include "platform/linux/capture/area.h"

enum { PAGE_BYTES = 4096 };

/* What of an area is chosen. */
typedef enum area_share {
    SHARE_NOTHING,
    SHARE_PAGES, /* those that exist */
    SHARE_COPIES /* those that are no longer the file's, but the process's own */
} area_share;

/* Adds what is not in it yet. Ranges come by ascending addresses, or what is below the last one is
 * dropped. Where there is no room for it, and for what of `always` is still to come, it is left
 * out, and what of that lies in it isn't. */
static void add(pi_choice *choice, uint64_t start, uint64_t end, size_t kept_free) {
    if (start < choice->chosen_end)
        start = choice->chosen_end;
    if (start >= end)
        return;
    bool touches =
        choice->count != 0 && start == choice->chosen_end &&
        choice->ranges[choice->count - 1].address + choice->ranges[choice->count - 1].size_bytes ==
            start;
    choice->total_bytes += end - start;
    if (touches) {
        choice->ranges[choice->count - 1].size_bytes += end - start;
    } else if (choice->count + kept_free < choice->capacity) {
        choice->ranges[choice->count++] = (pi_memory_range){start, end - start};
    } else {
        choice->left_out_bytes += end - start;
        return;
    }
    choice->chosen_end = end;
}

static void add_always_up_to(pi_choice *choice, uint64_t address) {
    for (; choice->always_next < choice->always_count; choice->always_next++) {
        const pi_memory_range *range = &choice->always[choice->always_next];
        if (range->address > address)
            return;
        add(choice, range->address, range->address + range->size_bytes, 0);
    }
}

/* Without what is never chosen. */
static void add_chosen(pi_choice *choice, uint64_t start, uint64_t end) {
    while (start < end) {
        uint64_t part_end = end, next = end;
        for (size_t i = 0; i < choice->never_count; i++) {
            uint64_t hole = choice->never[i].address;
            uint64_t hole_end = hole + choice->never[i].size_bytes;
            if (hole_end <= start || hole >= part_end)
                continue;
            part_end = hole < start ? start : hole;
            next = hole_end < end ? hole_end : end;
        }
        if (start < part_end) {
            add_always_up_to(choice, start);
            add(choice, start, part_end, choice->always_count - choice->always_next);
        }
        start = next;
    }
}

static bool may_all(const pi_area *area, uint32_t permissions) {
    return (area->permissions & permissions) == permissions;
}

static bool is_private(const pi_area *area) {
    return !may_all(area, PI_MAPPING_SHARED);
}

static bool is_private_memory(const pi_area *area) {
    return is_private(area) && (area->kind == PI_AREA_ANONYMOUS || area->is_anonymous_huge);
}

static bool is_private_of_file(const pi_area *area) {
    return is_private(area) && !area->is_anonymous_huge &&
           (area->kind == PI_AREA_FILE || area->kind == PI_AREA_SHARED_MEMORY);
}

/* Memory that programs share through a file of no disk is no module's data. */
static bool is_data_of_file(const pi_area *area) {
    return may_all(area, PI_MAPPING_WRITE) &&
           (area->kind == PI_AREA_FILE || is_private_of_file(area));
}

/* What the dynamic linker has written to and then made read-only again (RELRO). */
static bool may_be_relocated(const pi_area *area) {
    return is_private_of_file(area) && may_all(area, PI_MAPPING_READ) &&
           !may_all(area, PI_MAPPING_WRITE) && !may_all(area, PI_MAPPING_EXECUTE);
}

/* Where addresses aren't randomised the heap begins in the mapping of the program's .bss. */
static bool may_be_bss(const pi_area *area) {
    return area->kind == PI_AREA_ANONYMOUS && is_private(area) &&
           may_all(area, PI_MAPPING_READ | PI_MAPPING_WRITE) && (!area->has_name || area->is_heap);
}

static area_share share_of(uint32_t type, const pi_area *area, uint64_t data_end) {
    if (area->kind == PI_AREA_NEVER_READ)
        return SHARE_NOTHING;
    if ((type & PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY) != 0)
        return SHARE_PAGES;
    if ((type & PROCINSPECT_DUMP_TYPE_WITH_PRIVATE_READ_WRITE_MEMORY) != 0 &&
        is_private_memory(area) && may_all(area, PI_MAPPING_READ | PI_MAPPING_WRITE))
        return SHARE_PAGES;
    if ((type & PROCINSPECT_DUMP_TYPE_WITH_DATA_SEGS) == 0)
        return SHARE_NOTHING;
    if (is_data_of_file(area) || (may_be_bss(area) && area->start == data_end))
        return SHARE_PAGES;
    return may_be_relocated(area) ? SHARE_COPIES : SHARE_NOTHING;
}

bool pi_choice_may_take(uint32_t type, const pi_area *area) {
    return share_of(type, area, area->start) != SHARE_NOTHING;
}

bool pi_choice_needs_kind(uint32_t type) {
    return (type & PROCINSPECT_DUMP_TYPE_WITH_DATA_SEGS) != 0 &&
           (type & PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY) == 0;
}

static int choose_recorded(pi_choice *choice, const pi_recorded_area *recorded, area_share share) {
    int chosen = 0;
    for (size_t i = 0; i < recorded->run_count; i++) {
        const pi_page_run *run = &choice->record->runs[recorded->first_run + i];
        if (share == SHARE_COPIES && run->is_of_file)
            continue;
        chosen = 1;
        add_chosen(choice, run->start, run->end);
    }
    return chosen;
}

/* 1 where anything of it was chosen, else 0 or a negative errno. */
static int choose_of(pi_choice *choice, const pi_area *area, area_share share) {
    const pi_recorded_area *recorded =
        choice->record == NULL ? NULL
                               : pi_record_find(choice->record, area->start, &choice->record_next);
    if (recorded != NULL)
        return choose_recorded(choice, recorded, share);
    uint64_t from = area->start & ~(uint64_t)(PAGE_BYTES - 1);
    uint64_t to = area->end & ~(uint64_t)(PAGE_BYTES - 1);
    int chosen = 0;
    while (from < to) {
        pi_page_run run;
        int result = pi_pages_next(choice->pages, from, to, &run);
        if (result < 0)
            return result;
        if (result == 0)
            break;
        from = run.end;
        if (share == SHARE_COPIES && run.is_of_file)
            continue;
        chosen = 1;
        add_chosen(choice, run.start, run.end);
    }
    return chosen;
}

static bool leaves_out(pi_choice *choice, const pi_area *area) {
    if (!pi_area_is_unwanted(&choice->unwanted, area))
        return false;
    choice->unwanted_bytes += area->end - area->start;
    choice->unwanted_count++;
    return true;
}

int pi_choice_make(pi_choice *choice) {
    const char *text = choice->maps, *end = text + choice->maps_length;
    uint64_t data_end = 0, looked_up_to = 0;
    pi_area area;
    choice->pages->skips_kind = !pi_choice_needs_kind(choice->type);
    choice->count = choice->always_next = choice->record_next = 0;
    choice->total_bytes = choice->left_out_bytes = choice->chosen_end = 0;
    choice->unwanted_bytes = choice->unwanted_count = choice->unwanted.next = 0;
    while (pi_area_next(&text, end, &area)) {
        /* The kernel writes them in order. */
        if (area.start < looked_up_to)
            area.start = looked_up_to;
        if (area.start >= area.end)
            continue;
        looked_up_to = area.end;
        area_share share = share_of(choice->type, &area, data_end);
        data_end = 0;
        if (share == SHARE_NOTHING || leaves_out(choice, &area))
            continue;
        int chosen = choose_of(choice, &area, share);
        if (chosen < 0)
            return chosen;
        if (is_data_of_file(&area) || (share == SHARE_COPIES && chosen != 0))
            data_end = area.end;
    }
    add_always_up_to(choice, UINT64_MAX);
    return 0;
}
