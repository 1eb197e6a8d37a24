/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/interrupted.h"

/* The kernel's struct ucontext of x86-64, as far as it is looked at, in words of 8 bytes. */
enum {
    ALTERNATE_BASE = 2,
    ALTERNATE_SIZE = 4,
    SAVED_STACK_POINTER = 20,
    SAVED_INSTRUCTION_POINTER = 21,
    SAVED_SEGMENTS = 23, /* cs, gs, fs, ss of 16 bits each */
    CONTEXT_WORDS = 24
};

enum { USER_CODE_SEGMENT = 0x33 };

static bool contains(uint64_t base, uint64_t size, uint64_t address) {
    return address >= base && address - base < size;
}

bool pi_find_interrupted(const unsigned char *stack, size_t length, uint64_t address,
                         uint64_t stack_pointer, pi_interrupted *interrupted) {
    size_t first = (size_t)(-address & 7); /* frames are aligned, ranges needn't be */
    for (size_t at = first; length >= CONTEXT_WORDS * 8 && at <= length - CONTEXT_WORDS * 8;
         at += 8) {
        uint64_t words[CONTEXT_WORDS];
        __builtin_memcpy(&words[SAVED_SEGMENTS], stack + at + 8 * SAVED_SEGMENTS, 8);
        if ((words[SAVED_SEGMENTS] & 0xffff) != USER_CODE_SEGMENT)
            continue;
        for (size_t i = 0; i < CONTEXT_WORDS; i++)
            __builtin_memcpy(&words[i], stack + at + 8 * i, 8);
        uint64_t base = words[ALTERNATE_BASE], size = words[ALTERNATE_SIZE];
        if (!contains(base, size, stack_pointer) ||
            contains(base, size, words[SAVED_STACK_POINTER]))
            continue;
        interrupted->stack_pointer = words[SAVED_STACK_POINTER];
        interrupted->instruction_pointer = words[SAVED_INSTRUCTION_POINTER];
        return true;
    }
    return false;
}

/* Where each range begins in the data. */
static void find_offsets(pi_hold *hold) {
    uint64_t offset = 0;
    for (size_t i = 0; i < hold->plan.range_count; i++) {
        hold->range_offsets[i] = offset;
        offset += hold->plan.ranges[i].size_bytes;
    }
}

static const unsigned char *bytes_of(const pi_hold *hold, const pi_memory_range *stack) {
    const pi_memory_range *ranges = hold->plan.ranges;
    size_t low = 0, high = hold->plan.range_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle].address <= stack->address)
            low = middle;
        else
            high = middle;
    }
    return hold->data + hold->range_offsets[low] + (stack->address - ranges[low].address);
}

/* A thread of a C library keeps its control block at the upper end of its stack. Those whose stack
 * pointer is elsewhere are the main thread, or run on another stack, or belong to a runtime that
 * does it otherwise. */
static bool may_be_elsewhere(const pi_hold *hold, const struct user_regs_struct *general) {
    const pi_plan_mapping *mapping = pi_plan_find_mapping(&hold->plan, general->rsp);
    return mapping != NULL && mapping != pi_plan_find_mapping(&hold->plan, general->fs_base);
}

bool pi_hold_add_interrupted(pi_hold *hold) {
    pi_plan *plan = &hold->plan;
    size_t planned = 0, count = plan->thread_count;
    bool has_offsets = false;
    for (uint32_t i = 0; i < hold->stop.count && plan->thread_count < hold->stop.capacity; i++) {
        if (!hold->stop.threads[i].has_registers)
            continue;
        const pi_memory_range *stack = &plan->threads[planned++].stack;
        const struct user_regs_struct *general = &hold->stop.registers[i].general;
        if (stack->size_bytes == 0 || !may_be_elsewhere(hold, general))
            continue;
        if (!has_offsets)
            find_offsets(hold);
        has_offsets = true;
        pi_interrupted interrupted;
        if (!pi_find_interrupted(bytes_of(hold, stack), (size_t)stack->size_bytes, stack->address,
                                 general->rsp, &interrupted))
            continue;
        pi_plan_thread *added = &plan->threads[plan->thread_count++];
        added->stack_pointer = interrupted.stack_pointer;
        added->instruction_pointer = interrupted.instruction_pointer;
    }
    return plan->thread_count != count;
}
