/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/predict.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "base/error.h"
#include "platform/linux/blocked_at.h"
#include "platform/linux/capture/by_copy.h"
#include "platform/linux/capture/source.h"

/* Of a thread whose stack pointer can't be told, nothing of its stack is planned. */
static int read_pointers(const pi_process *process, int32_t tid, pi_stop_registers *registers) {
    char path[32], text[256];
    uint64_t stack, instruction;
    snprintf(path, sizeof path, "task/%d/syscall", (int)tid);
    ssize_t length = pi_proc_read_once(process->directory, path, text, sizeof text);
    if (length < 0)
        return pi_is_exhaustion(errno) ? -errno : 0;
    if (pi_blocked_at(text, (size_t)length, &stack, &instruction)) {
        registers->general.rsp = stack;
        registers->general.rip = instruction;
    }
    return 0;
}

/* As what the stop would find it. */
static int add_thread(const pi_process *process, const procinspect_thread_info *info,
                      pi_hold *hold) {
    bool has_ended = info->os_state == 'Z' || info->os_state == 'X' || info->os_state == 'x';
    if (has_ended) {
        hold->stop.has_dead_main |= info->tid == process->pid;
        return 0;
    }
    uint32_t index = hold->stop.count++;
    pi_stop_thread *thread = &hold->stop.threads[index];
    thread->tid = info->tid;
    thread->state = info->os_state == 'D' ? PI_STOP_RUNS : PI_STOP_STANDS;
    thread->has_registers = thread->state == PI_STOP_STANDS;
    if (!thread->has_registers)
        return 0;
    pi_stop_registers *registers = &hold->stop.registers[index];
    int result = read_pointers(process, info->tid, registers);
    pi_plan_thread *planned = &hold->plan.threads[hold->plan.thread_count++];
    planned->stack_pointer = registers->general.rsp;
    planned->instruction_pointer = registers->general.rip;
    return result;
}

static int32_t add_threads(const pi_capture_state *capture, pi_hold *hold,
                           procinspect_error *error) {
    const procinspect_thread_list *list = &capture->known.list;
    for (size_t i = 0; i < list->count && hold->stop.count < hold->stop.capacity; i++) {
        int result = add_thread(capture->process, list->items[i], hold);
        if (result != 0)
            return pi_process_failed(capture->process, "task/TID/syscall", -result, error);
    }
    hold->stop.is_full = list->count > hold->stop.capacity;
    return PROCINSPECT_OK;
}

/* Into the arena, where the snapshot has them. */
static int32_t read_maps(pi_capture_state *capture, pi_hold *hold, procinspect_error *error) {
    pi_buffer buffer = {0};
    int result = pi_read_file_at(capture->files.directory, "maps", &buffer, hold->maps_capacity);
    if (result == 0 && buffer.length == 0) /* what the files of a thread that has ended show */
        result = -ESRCH;
    int32_t code = PROCINSPECT_OK;
    if (result != 0) {
        code = result == -ENOMEM ? pi_error_no_memory(error)
                                 : pi_capture_file_failed(capture, "maps", -result, error);
    } else if (buffer.length == hold->maps_capacity) {
        hold->result = PI_HOLD_MAPS_LARGE;
        code = pi_capture_judge(capture, hold, error);
    } else {
        hold->maps = pi_arena_copy(capture->arena, buffer.data, buffer.length);
        hold->maps_length = buffer.length;
        capture->snapshot->texts[PI_TEXT_MAPS] = (pi_bytes){hold->maps, hold->maps_length};
        if (hold->maps == NULL)
            code = pi_capture_exhausted(capture->arena, error);
    }
    pi_buffer_free(&buffer);
    return code;
}

/* Which pages the process has is all that tells what the copy would have. */
static int record_pages(pi_hold *hold, int pagemap) {
    pi_copy *copy = hold->copy;
    pi_page_record *record = &copy->record;
    record->type = hold->choice.type;
    record->always = hold->plan.ranges;
    record->always_count = hold->plan.range_count;
    record->maps = hold->maps;
    record->maps_length = hold->maps_length;
    record->copy_memory = -1;
    record->copy_has_all = true;
    pi_pages_begin(record->pages, pagemap);
    pi_pages_begin(record->copy_pages, pagemap);
    int result = pi_record_make(record);
    if (result == 0)
        pi_record_choose_held(record, hold->plan.budget_bytes, copy->held, PI_RECORD_MAX_RUNS);
    hold->choice.record = record;
    return result;
}

static int32_t choose_pages(pi_capture_state *capture, pi_hold *hold, procinspect_error *error) {
    pi_choice *choice = &hold->choice;
    int pagemap = openat(capture->files.directory, "pagemap", O_RDONLY | O_CLOEXEC);
    if (pagemap < 0)
        return pi_capture_file_failed(capture, "pagemap", errno, error);
    int result = hold->copy != NULL ? record_pages(hold, pagemap) : 0;
    choice->maps = hold->maps;
    choice->maps_length = hold->maps_length;
    choice->always = hold->plan.ranges;
    choice->always_count = hold->plan.range_count;
    pi_pages_begin(choice->pages, pagemap);
    if (result == 0)
        result = pi_choice_make(choice);
    pi_close(pagemap);
    if (result < 0)
        return pi_capture_file_failed(capture, "pagemap", -result, error);
    hold->ranges = choice->ranges;
    hold->range_count = choice->count;
    hold->memory_bytes = choice->total_bytes - choice->left_out_bytes;
    bool needs_room = hold->copy == NULL && hold->spool == NULL && !hold->is_live;
    if (!needs_room || hold->memory_bytes <= hold->plan.budget_bytes)
        return PROCINSPECT_OK;
    hold->result = PI_HOLD_MEMORY_LARGE;
    return pi_capture_judge(capture, hold, error);
}

static int32_t choose_memory(pi_capture_state *capture, pi_hold *hold, procinspect_error *error) {
    hold->plan.mapping_count =
        pi_plan_parse_maps(hold->maps, hold->maps_length, hold->mappings, hold->mapping_capacity);
    hold->plan.mappings = hold->mappings;
    pi_plan_make(&hold->plan);
    hold->ranges = hold->plan.ranges;
    hold->range_count = hold->plan.range_count;
    hold->memory_bytes = hold->plan.total_bytes;
    if (hold->copy == NULL && (hold->choice.type & PI_CHOICE_TYPES) == 0)
        return PROCINSPECT_OK;
    int32_t code = choose_pages(capture, hold, error);
    if (code == PROCINSPECT_OK)
        pi_plan_extend_stacks(&hold->plan, hold->ranges, hold->range_count);
    return code;
}

static int32_t fill_snapshot(pi_capture_state *capture, const pi_hold *hold,
                             procinspect_error *error) {
    pi_snapshot *snapshot = capture->snapshot;
    capture->auxv = snapshot->texts[PI_TEXT_AUXILIARY_VECTOR];
    int32_t code = pi_capture_threads(capture->process, hold, &capture->known, capture->arena,
                                      &capture->notes, snapshot, error);
    if (code == PROCINSPECT_OK)
        code = pi_capture_ranges(hold, capture->arena, &capture->notes, snapshot, error);
    if (code != PROCINSPECT_OK)
        return code;
    snapshot->source = pi_capture_source_new(NULL, 0, snapshot->memory, 0);
    return snapshot->source != NULL ? PROCINSPECT_OK : pi_error_no_memory(error);
}

int32_t pi_capture_predict(pi_capture_state *capture, procinspect_error *error) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    capture->snapshot->captured_at_unix_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    pi_capture_work *work;
    int32_t code = pi_capture_prepare_work(capture, &work, error);
    if (code != PROCINSPECT_OK)
        return code;
    work->hold.is_predicted = true;
    code = add_threads(capture, &work->hold, error);
    if (code == PROCINSPECT_OK)
        code = read_maps(capture, &work->hold, error);
    if (code == PROCINSPECT_OK)
        code = choose_memory(capture, &work->hold, error);
    if (code == PROCINSPECT_OK)
        code = fill_snapshot(capture, &work->hold, error);
    pi_capture_work_free(work);
    return code;
}
