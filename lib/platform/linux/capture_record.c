/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture_record.h"

#include "platform/linux/capture_choice.h"
#include "platform/linux/helper_system_call.h"

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
    return raw_call(SYS_pread64, record->copy_memory, (long)&byte, 1, (long)address) == 1;
}

static uint64_t bytes_since(const pi_page_record *record, size_t first_run) {
    uint64_t bytes = 0;
    for (size_t i = first_run; i < record->run_count; i++)
        bytes += record->runs[i].end - record->runs[i].start;
    return bytes;
}

/* Keeps the runs from first_run on as those of this area. */
static void finish_area(pi_page_record *record, const pi_area *area, size_t first_run,
                        bool is_held) {
    uint64_t bytes = bytes_since(record, first_run);
    if (record->area_count == PI_RECORD_MAX_AREAS) {
        record->left_out_bytes += bytes;
        record->run_count = first_run;
        return;
    }
    record->areas[record->area_count++] = (pi_recorded_area){
        area->start, area->end, first_run, record->run_count - first_run, is_held};
    if (is_held)
        record->held_bytes += bytes;
    else if ((area->permissions & PI_MAPPING_SHARED) != 0)
        record->shared_bytes += bytes;
}

/* Private memory of no file: the copy has what the process has, or nothing at all. */
static int look_at_anonymous(pi_page_record *record, const pi_area *area) {
    pi_page_run run;
    int result = pi_pages_first(record->copy_pages, area->start, area->end, &run);
    if (result != 0)
        return result < 0 ? result : 0;
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

int pi_record_make(pi_page_record *record) {
    const char *text = record->maps, *end = text + record->maps_length;
    pi_area area;
    uint64_t looked_up_to = 0;
    int result = 0;
    record->pages->is_narrow = true;
    while (result == 0 && pi_area_next(&text, end, &area)) {
        if (area.start < looked_up_to || !pi_choice_may_take(record->type, &area))
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

size_t pi_record_held_ranges(const pi_page_record *record, pi_memory_range *ranges,
                             size_t capacity) {
    size_t count = 0;
    for (size_t i = 0; i < record->area_count; i++) {
        const pi_recorded_area *area = &record->areas[i];
        const pi_page_run *runs = record->runs + area->first_run;
        for (size_t k = 0; area->is_held && k < area->run_count && count < capacity; k++)
            ranges[count++] = (pi_memory_range){runs[k].start, runs[k].end - runs[k].start};
    }
    return count;
}
