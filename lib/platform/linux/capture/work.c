/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/work.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/error.h"
#include "platform/linux/capture/by_copy.h"
#include "platform/linux/capture/spool.h"

enum {
    PAGE_BYTES = 4096,
    MAPS_BYTES = 64 * 1024 * 1024, /* what readers of modules take, too */
    SHORTEST_MAPS_LINE = 40,       /* less than any the kernel writes */
    USUAL_MAPS_BYTES = 64 * 1024,
    USUAL_MAPS_BYTES_PER_THREAD = 160, /* a stack and its guard */
    USUAL_STACK_BYTES = 8 * 1024,
    USUAL_RANGES = 2048,
    MOST_BACKED_DATA_BYTES = 16 * 1024 * 1024,
    HUGE_PAGE_BYTES = 2 * 1024 * 1024,
    MORE_THREADS = 4096,           /* that may appear while we stop the others */
    MOST_THREADS = 2 * 1024 * 1024 /* of twice the kernel's limit of thread ids */
};

/* Where the next table begins in the mapping; NULL for the first pass, which only adds up. */
typedef struct table_layout {
    unsigned char *base;
    size_t used_bytes;
} table_layout;

/* Gives room for a table. Its first `usual` bytes will be written for sure, the rest perhaps. */
static void *place(table_layout *layout, size_t bytes, size_t usual) {
    unsigned char *table = layout->base == NULL ? NULL : layout->base + layout->used_bytes;
    layout->used_bytes += (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    /* Refused by kernels before 5.14: then the pages come when they are touched. */
    if (table != NULL)
        madvise(table, usual < bytes ? usual : bytes, MADV_POPULATE_WRITE);
    return table;
}

/* A range that was chosen has a page at least, or is one of those that every dump holds. */
static size_t choice_capacity(const pi_hold *hold, bool is_unlimited) {
    size_t capacity = is_unlimited || hold->plan.budget_bytes / PAGE_BYTES >= PI_CHOICE_MAX_RANGES
                          ? PI_CHOICE_MAX_RANGES
                          : (size_t)hold->plan.budget_bytes / PAGE_BYTES;
    return capacity + 2 * (size_t)hold->stop.capacity;
}

static void lay_out_choice(table_layout *layout, pi_hold *hold, bool is_unlimited) {
    hold->choice.capacity = choice_capacity(hold, is_unlimited);
    hold->choice.ranges = place(layout, hold->choice.capacity * sizeof *hold->choice.ranges,
                                USUAL_RANGES * sizeof *hold->choice.ranges);
    hold->choice.pages = place(layout, sizeof *hold->choice.pages, sizeof *hold->choice.pages);
}

static void lay_out_copy(table_layout *layout, pi_hold *hold) {
    pi_copy *copy = place(layout, sizeof *copy, sizeof *copy);
    pi_page_record *record = layout->base == NULL ? &(pi_page_record){0} : &copy->record;
    record->pages = place(layout, sizeof *record->pages, sizeof *record->pages);
    record->copy_pages = place(layout, sizeof *record->pages, sizeof *record->pages);
    record->areas = place(layout, PI_RECORD_MAX_AREAS * sizeof *record->areas,
                          USUAL_RANGES * sizeof *record->areas);
    record->runs = place(layout, PI_RECORD_MAX_RUNS * sizeof *record->runs,
                         USUAL_RANGES * sizeof *record->runs);
    pi_memory_range *held = place(layout, PI_RECORD_MAX_RUNS * sizeof *held, PAGE_BYTES);
    if (layout->base == NULL)
        return;
    copy->held = held;
    copy->memory_file = copy->pagemap_file = copy->growth_file = copy->task_directory = -1;
    hold->copy = copy;
}

static void lay_out_spool(table_layout *layout, pi_hold *hold) {
    const size_t slots_bytes = (size_t)PI_SPOOL_SLOTS * PI_SPOOL_SLOT_BYTES;
    pi_spool *spool = place(layout, sizeof *spool, sizeof *spool);
    unsigned char *slots = place(layout, slots_bytes, slots_bytes);
    if (layout->base == NULL)
        return;
    spool->slots = slots;
    spool->directory_file = spool->file = -1;
    hold->spool = spool;
}

static void lay_out(table_layout *layout, pi_hold *hold, size_t usual,
                    const pi_capture_size *size) {
    pi_stop *stop = &hold->stop;
    size_t capacity = stop->capacity;
    stop->threads = place(layout, capacity * sizeof *stop->threads, usual * sizeof *stop->threads);
    stop->slots = place(layout, stop->slot_count * sizeof *stop->slots,
                        stop->slot_count * sizeof *stop->slots);
    stop->entries = place(layout, PI_STOP_ENTRIES_BYTES, PI_STOP_ENTRIES_BYTES);
    stop->registers =
        place(layout, capacity * sizeof *stop->registers, usual * sizeof *stop->registers);
    hold->plan.threads =
        place(layout, capacity * sizeof *hold->plan.threads, usual * sizeof *hold->plan.threads);
    hold->range_offsets = place(layout, capacity * 2 * sizeof *hold->range_offsets,
                                usual * 2 * sizeof *hold->range_offsets);
    hold->plan.ranges = place(layout, capacity * 2 * sizeof *hold->plan.ranges,
                              usual * 2 * sizeof *hold->plan.ranges);
    size_t usual_maps = USUAL_MAPS_BYTES + usual * USUAL_MAPS_BYTES_PER_THREAD;
    hold->maps_capacity = MAPS_BYTES;
    hold->maps = place(layout, MAPS_BYTES, usual_maps);
    hold->mapping_capacity = MAPS_BYTES / SHORTEST_MAPS_LINE;
    hold->mappings = place(layout, hold->mapping_capacity * sizeof *hold->mappings,
                           usual_maps / SHORTEST_MAPS_LINE * sizeof *hold->mappings);
    bool is_unlimited = size->wants_copy || size->wants_spool || size->is_live;
    if (size->has_choice || is_unlimited)
        lay_out_choice(layout, hold, is_unlimited);
    if (size->wants_copy)
        lay_out_copy(layout, hold);
    if (size->wants_spool)
        lay_out_spool(layout, hold);
}

static void *map(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int32_t no_memory(size_t bytes, procinspect_error *error) {
    return pi_error_set(
        error, PROCINSPECT_ERROR_NO_MEMORY, ENOMEM,
        "No %zu MiB of address space for the dump; lower hold_buffer_bytes, or raise "
        "RLIMIT_AS or the memory limit of the host process.",
        bytes >> 20);
}

/* What the memory will take for sure is backed by pages: each that the kernel would have to find
 * while the process stands takes longer than it takes to copy. */
static void back_data(const pi_capture_work *work, const pi_capture_size *size) {
    size_t stacks = size->holds_no_stacks ? 0 : (size->thread_count + 1) * USUAL_STACK_BYTES;
    if (stacks > MOST_BACKED_DATA_BYTES)
        stacks = MOST_BACKED_DATA_BYTES;
    uint64_t usual = stacks + size->expected_data_bytes;
    size_t backed = usual < work->data_bytes ? (size_t)usual : work->data_bytes;
    if (size->expected_data_bytes >= HUGE_PAGE_BYTES)
        madvise(work->hold.data, backed, MADV_HUGEPAGE);
    madvise(work->hold.data, backed, MADV_POPULATE_WRITE);
}

static int32_t prepare(pi_capture_work *work, const pi_capture_size *size,
                       procinspect_error *error) {
    pi_hold *hold = &work->hold;
    size_t capacity = size->thread_count * 2 + MORE_THREADS;
    hold->stop.capacity = (uint32_t)(capacity < MOST_THREADS ? capacity : MOST_THREADS);
    hold->stop.slot_count = 1;
    while (hold->stop.slot_count < 2 * hold->stop.capacity)
        hold->stop.slot_count *= 2;

    hold->plan.budget_bytes = size->max_data_bytes;
    table_layout layout = {NULL, 0};
    lay_out(&layout, hold, 0, size);
    work->tables_bytes = layout.used_bytes;
    work->tables = map(work->tables_bytes);
    if (work->tables == NULL)
        return no_memory(work->tables_bytes, error);
    layout = (table_layout){work->tables, 0};
    lay_out(&layout, hold, size->thread_count, size);

    hold->data = map((size_t)size->max_data_bytes);
    if (hold->data == NULL)
        return no_memory((size_t)size->max_data_bytes, error);
    work->data_bytes = (size_t)size->max_data_bytes;
    back_data(work, size);
    return PROCINSPECT_OK;
}

int32_t pi_capture_work_new(const pi_capture_size *size, pi_capture_work **work,
                            procinspect_error *error) {
    pi_capture_work *made = map(sizeof *made);
    if (made == NULL)
        return no_memory(sizeof *made, error);
    int32_t code = prepare(made, size, error);
    if (code == PROCINSPECT_OK)
        *work = made;
    else
        pi_capture_work_free(made);
    return code;
}

static void give_back(void *table, size_t bytes) {
    madvise(table, (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES, MADV_DONTNEED);
}

void pi_capture_work_trim(pi_capture_work *work) {
    pi_hold *hold = &work->hold;
    give_back(hold->maps, hold->maps_capacity);
    give_back(hold->mappings, hold->mapping_capacity * sizeof *hold->mappings);
    give_back(hold->choice.ranges, hold->choice.capacity * sizeof *hold->choice.ranges);
    give_back(hold->copy->record.areas, PI_RECORD_MAX_AREAS * sizeof *hold->copy->record.areas);
    give_back(hold->copy->record.runs, PI_RECORD_MAX_RUNS * sizeof *hold->copy->record.runs);
}

void pi_capture_work_free(pi_capture_work *work) {
    if (work->is_kept) {
        madvise(work->tables, work->tables_bytes, MADV_DONTNEED);
        madvise(work->hold.data, work->data_bytes, MADV_DONTNEED);
        return;
    }
    if (work->tables != NULL)
        munmap(work->tables, work->tables_bytes);
    if (work->data_bytes != 0)
        munmap(work->hold.data, work->data_bytes);
    munmap(work, sizeof *work);
}
