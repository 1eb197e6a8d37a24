/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/hold.h"

#include <errno.h>
#include <fcntl.h>

#include "platform/linux/capture/by_copy.h"
#include "platform/linux/capture/interrupted.h"
#include "platform/linux/capture/read.h"
#include "platform/linux/capture/spool.h"
#include "platform/linux/trace/helper_system_call.h"

/* Of the permitted pause, what is kept for letting the threads go: at least 1/16. */
enum { LEAST_RESUME_SHARE = 16 };

/* A thread in uninterruptible sleep that doesn't come out of it in this time is left out. */
#define UNINTERRUPTIBLE_LIMIT_NS UINT64_C(100000000)

/* A helper that hangs beyond the permitted pause is ended this much later. */
#define WATCHDOG_GRACE_NS UINT64_C(500000000)

/* Letting go of all threads takes about as long as stopping them did. */
uint64_t pi_hold_deadline_ns(const pi_hold *hold) {
    uint64_t resume_ns = hold->max_pause_ns / LEAST_RESUME_SHARE;
    if (resume_ns < hold->stop_ns)
        resume_ns = hold->stop_ns;
    return hold->stop.pause_begin_ns + hold->max_pause_ns - resume_ns;
}

static pi_hold_result from_stop(pi_stop_result result) {
    switch (result) {
    case PI_STOP_OK:
        return PI_HOLD_DONE;
    case PI_STOP_REFUSED:
        return PI_HOLD_REFUSED;
    case PI_STOP_GONE:
        return PI_HOLD_GONE;
    case PI_STOP_TOO_LATE:
        return PI_HOLD_TOO_LATE;
    case PI_STOP_MUST_END:
        break;
    }
    return PI_HOLD_NOT_DONE;
}

static pi_hold_result stop_all(pi_hold *hold) {
    pi_stop *stop = &hold->stop;
    stop->limit_ns = hold->max_pause_ns / 2;
    stop->uninterruptible_limit_ns = hold->max_pause_ns / 4 < UNINTERRUPTIBLE_LIMIT_NS
                                         ? hold->max_pause_ns / 4
                                         : UNINTERRUPTIBLE_LIMIT_NS;
    pi_stop_result result = pi_stop_seize(stop);
    if (result != PI_STOP_OK)
        return from_stop(result);
    pi_helper_start_watchdog(stop->helper, hold->max_pause_ns + WATCHDOG_GRACE_NS);
    result = pi_stop_interrupt(stop);
    hold->stop_ns = raw_now_ns() - stop->pause_begin_ns;
    return from_stop(result);
}

/* Of the one that makes a call they are read by then. */
static bool has_all_registers(pi_stop *stop, pi_stop_thread *thread) {
    return thread->state == PI_STOP_CALLS ||
           (thread->state == PI_STOP_STANDS && pi_stop_read_registers(stop, thread));
}

static pi_hold_result read_registers(pi_hold *hold) {
    size_t count = 0;
    for (uint32_t i = 0; i < hold->stop.count; i++) {
        pi_stop_thread *thread = &hold->stop.threads[i];
        const struct user_regs_struct *general = &hold->stop.registers[i].general;
        thread->has_registers = has_all_registers(&hold->stop, thread);
        if (!thread->has_registers)
            continue;
        pi_plan_thread *planned = &hold->plan.threads[count++];
        planned->stack_pointer = general->rsp;
        planned->instruction_pointer = general->rip;
    }
    hold->plan.thread_count = count;
    if (count == 0)
        return PI_HOLD_GONE;
    return raw_now_ns() >= pi_hold_deadline_ns(hold) ? PI_HOLD_TOO_LATE : PI_HOLD_DONE;
}

/* The fork of a large process takes longer than its registers do: these are read meanwhile. Not
 * where stacks are read at once, by what they say. */
bool pi_hold_is_planned_meanwhile(const pi_hold *hold) {
    return hold->copy != NULL && !hold->copy->is_of_host &&
           (hold->choice.type & PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY) != 0;
}

static pi_hold_result read_first_registers(pi_hold *hold) {
    uint64_t begin_ns = raw_now_ns();
    pi_hold_result result = PI_HOLD_DONE;
    if (pi_hold_is_planned_meanwhile(hold))
        pi_stop_read_main_registers(&hold->stop);
    else
        result = read_registers(hold);
    hold->registers_ns = raw_now_ns() - begin_ns;
    return result;
}

/* A whole file about the process's memory; its length, or a negative errno. */
static long read_file(pi_hold *hold, const char *name, void *buffer, size_t capacity) {
    long file = pi_helper_open(hold->stop.helper, hold->memory_directory, name, O_RDONLY);
    if (file < 0)
        return file;
    size_t length = 0;
    long got;
    do {
        got = raw_read((int)file, (char *)buffer + length, capacity - length);
        length += got > 0 ? (size_t)got : 0;
    } while (got > 0 && length < capacity);
    raw_close((int)file);
    return got < 0 ? got : (long)length;
}

pi_hold_result pi_hold_file_failed(pi_hold *hold, const char *name, long result) {
    hold->failed_errno = (int32_t)-result;
    hold->failed_file = name;
    return PI_HOLD_FILE_FAILED;
}

pi_hold_result pi_hold_read_maps(pi_hold *hold) {
    long length = read_file(hold, "maps", hold->maps, hold->maps_capacity);
    if (length == 0) /* what the files of a thread that has ended show */
        length = -ESRCH;
    if (length < 0)
        return pi_hold_file_failed(hold, "maps", length);
    hold->maps_length = (size_t)length;
    return hold->maps_length == hold->maps_capacity ? PI_HOLD_MAPS_LARGE : PI_HOLD_DONE;
}

/* The files are opened only now: opened before, they would be those of the program that an execve
 * in between has replaced. */
static pi_hold_result read_files(pi_hold *hold) {
    pi_hold_result result = pi_hold_read_maps(hold);
    if (result != PI_HOLD_DONE)
        return result;
    long length = read_file(hold, "auxv", hold->auxv, sizeof hold->auxv);
    hold->auxv_length = length < 0 ? 0 : (size_t)length;
    return PI_HOLD_DONE;
}

pi_hold_result pi_hold_read_ranges(pi_hold *hold, const pi_memory_range *ranges, size_t count) {
    hold->ranges = ranges;
    hold->range_count = count;
    pi_memory_reader reader = {.tid = hold->memory_tid,
                               .directory = hold->memory_directory,
                               .helper = hold->stop.helper,
                               .deadline_ns = pi_hold_deadline_ns(hold)};
    pi_read_result result = pi_memory_read_ranges(&reader, ranges, count, hold->data);
    hold->unreadable_bytes = reader.unreadable_bytes;
    switch (result) {
    case PI_READ_OK:
        return PI_HOLD_DONE;
    case PI_READ_TOO_LATE:
        return PI_HOLD_TOO_LATE;
    case PI_READ_MUST_END:
        break;
    }
    return PI_HOLD_NOT_DONE;
}

static void parse_maps(pi_hold *hold) {
    hold->plan.mapping_count =
        pi_plan_parse_maps(hold->maps, hold->maps_length, hold->mappings, hold->mapping_capacity);
    hold->plan.mappings = hold->mappings;
}

pi_hold_result pi_hold_plan(pi_hold *hold) {
    pi_hold_result result = read_registers(hold);
    parse_maps(hold);
    pi_plan_make(&hold->plan);
    return result;
}

static pi_hold_result read_planned(pi_hold *hold) {
    pi_plan_make(&hold->plan);
    hold->memory_bytes = hold->plan.total_bytes;
    return pi_hold_read_ranges(hold, hold->plan.ranges, hold->plan.range_count);
}

/* What every dump holds. */
static pi_hold_result read_plan(pi_hold *hold) {
    pi_hold_result result = read_planned(hold);
    /* What a stack says of another one is known only now. It is rare: all is read again. */
    if (result == PI_HOLD_DONE && pi_hold_add_interrupted(hold))
        result = read_planned(hold);
    return result;
}

pi_hold_result pi_hold_pages_failed(pi_hold *hold, int result) {
    if (result == -ETIME)
        return PI_HOLD_TOO_LATE;
    if (result == -ECANCELED)
        return PI_HOLD_NOT_DONE;
    return pi_hold_file_failed(hold, "pagemap", result);
}

static pi_hold_result choose(pi_hold *hold) {
    pi_choice *choice = &hold->choice;
    long pagemap = pi_helper_open(hold->stop.helper, hold->memory_directory, "pagemap", O_RDONLY);
    if (pagemap < 0)
        return pi_hold_file_failed(hold, "pagemap", pagemap);
    choice->maps = hold->maps;
    choice->maps_length = hold->maps_length;
    choice->always = hold->plan.ranges;
    choice->always_count = hold->plan.range_count;
    choice->pages->helper = hold->stop.helper;
    choice->pages->deadline_ns = pi_hold_deadline_ns(hold);
    pi_pages_begin(choice->pages, (int)pagemap);
    int result = pi_choice_make(choice);
    raw_close((int)pagemap);
    if (result < 0)
        return pi_hold_pages_failed(hold, result);
    bool is_large = choice->total_bytes - choice->left_out_bytes > hold->plan.budget_bytes;
    return is_large && hold->spool == NULL && !hold->is_live ? PI_HOLD_MEMORY_LARGE : PI_HOLD_DONE;
}

/* All that exists has every stack in it: none has to be found through another, unless they are all
 * that is read now. */
static pi_hold_result plan_stacks(pi_hold *hold) {
    parse_maps(hold);
    if ((hold->choice.type & PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY) == 0 || hold->is_live)
        return read_plan(hold);
    pi_plan_make(&hold->plan);
    return PI_HOLD_DONE;
}

/* And what the type asks for besides, with that in it. */
static pi_hold_result read_choice(pi_hold *hold) {
    pi_hold_result result = choose(hold);
    if (result != PI_HOLD_DONE)
        return result;
    pi_plan_extend_stacks(&hold->plan, hold->choice.ranges, hold->choice.count);
    hold->memory_bytes = hold->choice.total_bytes - hold->choice.left_out_bytes;
    hold->ranges = hold->choice.ranges;
    hold->range_count = hold->choice.count;
    return hold->spool != NULL ? pi_hold_spool(hold)
                               : pi_hold_read_ranges(hold, hold->ranges, hold->range_count);
}

/* Which memory there is besides. The file is of this program, whatever the process runs later. */
static pi_hold_result choose_live(pi_hold *hold) {
    pi_hold_result result = choose(hold);
    if (result != PI_HOLD_DONE)
        return result;
    long memory = pi_helper_open(hold->stop.helper, hold->memory_directory, "mem", O_RDONLY);
    if (memory < 0)
        return pi_hold_file_failed(hold, "mem", memory);
    pi_plan_extend_stacks(&hold->plan, hold->choice.ranges, hold->choice.count);
    hold->memory_bytes = hold->choice.total_bytes - hold->choice.left_out_bytes;
    hold->ranges = hold->choice.ranges;
    hold->range_count = hold->choice.count;
    pi_helper_hand_over((int)memory);
    hold->live_file = (int)memory;
    return PI_HOLD_DONE;
}

static pi_hold_result read_memory(pi_hold *hold) {
    uint64_t begin_ns = raw_now_ns();
    pi_hold_result result = read_files(hold);
    if (result == PI_HOLD_DONE && !pi_hold_is_planned_meanwhile(hold))
        result = plan_stacks(hold);
    if (result == PI_HOLD_DONE && hold->copy != NULL)
        result = pi_hold_copy(hold);
    else if (result == PI_HOLD_DONE && hold->is_live)
        result = choose_live(hold);
    else if (result == PI_HOLD_DONE &&
             ((hold->choice.type & PI_CHOICE_TYPES) != 0 || hold->spool != NULL))
        result = read_choice(hold);
    uint64_t end_ns = raw_now_ns();
    hold->memory_ns = end_ns - begin_ns;
    return result == PI_HOLD_DONE && end_ns >= pi_hold_deadline_ns(hold) ? PI_HOLD_TOO_LATE
                                                                         : result;
}

/* Each thread that goes on would take the processor that lets go of the next. */
static void release_all(pi_hold *hold) {
    uint64_t begin_ns = raw_now_ns();
    pi_helper_hold_processor(hold->stop.helper);
    pi_stop_release(&hold->stop);
    uint64_t end_ns = raw_now_ns();
    pi_helper_share_processor(hold->stop.helper);
    hold->resume_ns = end_ns - begin_ns;
    hold->pause_ns = hold->stop.pause_begin_ns != 0 ? end_ns - hold->stop.pause_begin_ns : 0;
}

void pi_hold_run(pi_helper *helper, void *argument) {
    pi_hold *hold = argument;
    hold->stop.helper = helper;
    long task = pi_helper_open(helper, hold->process_directory, "task", O_RDONLY | O_DIRECTORY);
    if (task < 0) {
        hold->result = pi_hold_file_failed(hold, "task", task);
        return;
    }
    hold->stop.task_directory = (int)task;
    if (hold->copy != NULL)
        pi_copy_prepare(hold);
    pi_hold_result result = stop_all(hold);
    if (result == PI_HOLD_DONE)
        result = read_first_registers(hold);
    if (result == PI_HOLD_DONE)
        result = read_memory(hold);
    release_all(hold);
    hold->result = result;
    if (hold->copy == NULL)
        raw_close((int)task);
    if (hold->copy != NULL && result == PI_HOLD_DONE)
        pi_copy_keep(hold);
    else if (hold->copy != NULL)
        pi_copy_give_up(hold);
}
