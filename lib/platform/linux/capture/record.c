/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/record.h"

#include "platform/linux/capture/choice.h"
#include "platform/linux/trace/helper_system_call.h"

static void record_run(pi_page_record *record, const pi_page_run *run) {
    if (record->run_count < PI_RECORD_MAX_RUNS)
        record->runs[record->run_count++] = *run;
    else
        record->left_out_bytes += run->end - run->start;
}

/* All pages of the process's from `from` on. */
static int record_runs(pi_page_record *record, uint64_t from, uint64_t to) {
    pi_page_run run;
    int result;
    while ((result = pi_pages_next(record->pages, from, to, &run)) == 1) {
        record_run(record, &run);
        from = run.end;
    }
    return result;
}

static bool copy_can_read(const pi_page_record *record, uint64_t address) {
    char byte;
    return record->copy_has_all ||
           raw_call(SYS_pread64, record->copy_memory, (long)&byte, 1, (long)address) == 1;
}

static uint64_t bytes_of(const pi_page_record *record, const pi_recorded_area *area) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < area->run_count; i++) {
        const pi_page_run *run = &record->runs[area->first_run + i];
        bytes += run->end - run->start;
    }
    return bytes;
}

/* Keeps the runs from first_run on as those of this area. */
static void finish_area(pi_page_record *record, const pi_area *area, size_t first_run,
                        bool is_held) {
    pi_recorded_area made = {.start = area->start,
                             .end = area->end,
                             .first_run = first_run,
                             .run_count = record->run_count - first_run,
                             .is_shared = (area->permissions & PI_MAPPING_SHARED) != 0,
                             .is_held = is_held};
    if (record->area_count == PI_RECORD_MAX_AREAS) {
        record->left_out_bytes += bytes_of(record, &made);
        record->run_count = first_run;
        return;
    }
    record->areas[record->area_count++] = made;
    if (made.is_shared && !is_held)
        record->shared_bytes += bytes_of(record, &made);
}

/* Private memory of no file: the copy has what the process has, or nothing at all. */
static int look_at_anonymous(pi_page_record *record, const pi_area *area) {
    pi_page_run run;
    int result = pi_pages_first(record->copy_pages, area->start, area->end, &run);
    if (result != 0)
        return result < 0 ? result : 0;
    /* It has none, and then the process mostly doesn't either. */
    result = pi_pages_first(record->pages, area->start, area->end, &run);
    if (result <= 0)
        return result;
    size_t first_run = record->run_count;
    result = record_runs(record, run.start, area->end);
    finish_area(record, area, first_run, true);
    return result;
}

static int look_at_mapped(pi_page_record *record, const pi_area *area) {
    size_t first_run = record->run_count;
    int result = record_runs(record, area->start, area->end);
    bool is_shared = (area->permissions & PI_MAPPING_SHARED) != 0;
    bool is_held = record->run_count != first_run &&
                   ((area->is_huge && !is_shared) || (is_shared && record->holds_shared) ||
                    !copy_can_read(record, record->runs[first_run].start));
    finish_area(record, area, first_run, is_held);
    return result;
}

/* Whether any of what every dump holds lies in it; asked by ascending areas. */
static bool has_any_of_always(const pi_page_record *record, const pi_area *area, size_t *next) {
    while (*next < record->always_count &&
           record->always[*next].address + record->always[*next].size_bytes <= area->start)
        ++*next;
    return *next < record->always_count && record->always[*next].address < area->end;
}

static bool is_chosen(pi_page_record *record, const pi_area *area) {
    return pi_choice_may_take(record->type, area) && !pi_area_is_unwanted(&record->unwanted, area);
}

int pi_record_make(pi_page_record *record) {
    size_t next_always = 0;
    const char *text = record->maps, *end = text + record->maps_length;
    pi_area area;
    uint64_t looked_up_to = 0;
    int result = 0;
    record->pages->is_narrow = true;
    record->pages->skips_kind = record->copy_pages->skips_kind =
        !pi_choice_needs_kind(record->type);
    while (result == 0 && pi_area_next(&text, end, &area)) {
        if (area.start < looked_up_to || area.kind == PI_AREA_NEVER_READ ||
            (!has_any_of_always(record, &area, &next_always) && !is_chosen(record, &area)))
            continue;
        looked_up_to = area.end;
        result = pi_area_is_own(&area) ? look_at_anonymous(record, &area)
                                       : look_at_mapped(record, &area);
    }
    record->pages->is_narrow = false;
    return result;
}

const pi_recorded_area *pi_record_find(const pi_page_record *record, uint64_t start, size_t *next) {
    while (*next < record->area_count && record->areas[*next].start < start)
        ++*next;
    return *next < record->area_count && record->areas[*next].start == start ? &record->areas[*next]
                                                                             : NULL;
}

/* How much of the run is held; what isn't is counted. */
static uint64_t hold_of(pi_page_record *record, const pi_recorded_area *area,
                        const pi_page_run *run, uint64_t room_bytes) {
    uint64_t wanted = run->end - run->start;
    uint64_t held = wanted < room_bytes ? wanted : room_bytes;
    uint64_t *counted = area->is_shared ? &record->shared_bytes : &record->left_out_bytes;
    *counted += wanted - held;
    return held;
}

size_t pi_record_choose_held(pi_page_record *record, uint64_t room_bytes, pi_memory_range *ranges,
                             size_t capacity) {
    size_t count = 0;
    for (size_t i = 0; i < record->area_count; i++) {
        const pi_recorded_area *area = &record->areas[i];
        for (size_t k = 0; area->is_held && k < area->run_count; k++) {
            const pi_page_run *run = &record->runs[area->first_run + k];
            if (run->is_zero) /* as what the copy doesn't have is read */
                continue;
            uint64_t held = hold_of(record, area, run, count < capacity ? room_bytes : 0);
            if (held != 0)
                ranges[count++] = (pi_memory_range){run->start, held};
            room_bytes -= held;
        }
    }
    return count;
}
