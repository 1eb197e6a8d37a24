/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/plan.h"

static unsigned hex_digit(char character) {
    if (character >= '0' && character <= '9')
        return (unsigned)(character - '0');
    if (character >= 'a' && character <= 'f')
        return (unsigned)(character - 'a') + 10;
    return 16;
}

/* The number at `at` and the character behind it; NULL where they aren't there. */
static const char *read_hex(const char *at, const char *end, char terminator, uint64_t *value) {
    uint64_t number = 0;
    const char *begin = at;
    for (; at < end && at - begin < 16 && hex_digit(*at) < 16; at++)
        number = number << 4 | hex_digit(*at);
    if (at == begin || at == end || *at != terminator)
        return NULL;
    *value = number;
    return at + 1;
}

size_t pi_plan_parse_maps(const char *text, size_t length, pi_plan_mapping *mappings,
                          size_t capacity) {
    const char *end = text + length;
    size_t count = 0;
    while (text < end && count < capacity) {
        pi_plan_mapping mapping = {0, 0};
        const char *at = read_hex(text, end, '-', &mapping.start);
        if (at != NULL)
            at = read_hex(at, end, ' ', &mapping.end);
        if (at != NULL && at < end && *at == 'r' && mapping.start < mapping.end)
            mappings[count++] = mapping;
        while (text < end && *text++ != '\n')
            continue;
    }
    return count;
}

const pi_plan_mapping *pi_plan_find_mapping(const pi_plan *plan, uint64_t address) {
    size_t low = 0, high = plan->mapping_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (plan->mappings[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == plan->mapping_count || plan->mappings[low].start > address)
        return NULL;
    return &plan->mappings[low];
}

/* From the red zone below the stack pointer to the end of its mapping. */
static void find_stack(const pi_plan *plan, pi_plan_thread *thread) {
    thread->stack = (pi_memory_range){0, 0};
    thread->whole_stack_bytes = 0;
    const pi_plan_mapping *mapping = pi_plan_find_mapping(plan, thread->stack_pointer);
    if (mapping == NULL &&
        thread->stack_pointer != 0) /* nothing pushed yet: it points behind the end */
        mapping = pi_plan_find_mapping(plan, thread->stack_pointer - 1);
    if (mapping == NULL)
        return;
    uint64_t start = thread->stack_pointer - mapping->start > PI_PLAN_RED_ZONE_BYTES
                         ? thread->stack_pointer - PI_PLAN_RED_ZONE_BYTES
                         : mapping->start;
    thread->whole_stack_bytes = mapping->end - start;
    thread->stack = (pi_memory_range){start, thread->whole_stack_bytes};
}

static uint64_t stacks_cut_at(const pi_plan *plan, uint64_t limit) {
    uint64_t total = 0;
    for (size_t i = 0; i < plan->thread_count; i++) {
        uint64_t whole = plan->threads[i].whole_stack_bytes;
        total += whole < limit ? whole : limit;
    }
    return total;
}

/* Every stack keeps its lower end, which holds the innermost frames; the limit is the same for all,
 * and so large that they just fit. */
static void limit_stacks(pi_plan *plan, uint64_t budget_bytes) {
    uint64_t fits = 0, limit = PI_PLAN_MAX_STACK_BYTES;
    if (stacks_cut_at(plan, limit) > budget_bytes) {
        while (limit - fits > 1) {
            uint64_t middle = fits + (limit - fits) / 2;
            if (stacks_cut_at(plan, middle) > budget_bytes)
                limit = middle;
            else
                fits = middle;
        }
        limit = fits;
    }
    for (size_t i = 0; i < plan->thread_count; i++)
        if (plan->threads[i].stack.size_bytes > limit)
            plan->threads[i].stack.size_bytes = limit;
}

static pi_memory_range window_of(const pi_plan *plan, uint64_t address) {
    const pi_plan_mapping *mapping = pi_plan_find_mapping(plan, address);
    if (mapping == NULL)
        return (pi_memory_range){0, 0};
    uint64_t start = address - mapping->start > PI_PLAN_WINDOW_BYTES / 2
                         ? address - PI_PLAN_WINDOW_BYTES / 2
                         : mapping->start;
    uint64_t end = mapping->end - address > PI_PLAN_WINDOW_BYTES / 2
                       ? address + PI_PLAN_WINDOW_BYTES / 2
                       : mapping->end;
    return (pi_memory_range){start, end - start};
}

static void sift_down(pi_memory_range *ranges, size_t root, size_t count) {
    for (size_t child = 2 * root + 1; child < count; root = child, child = 2 * root + 1) {
        if (child + 1 < count && ranges[child].address < ranges[child + 1].address)
            child++;
        if (ranges[root].address >= ranges[child].address)
            return;
        pi_memory_range lower = ranges[root];
        ranges[root] = ranges[child];
        ranges[child] = lower;
    }
}

/* Heapsort: no recursion, no memory, no worst case that a target could bring about. */
static void sort_by_address(pi_memory_range *ranges, size_t count) {
    for (size_t root = count / 2; root-- > 0;)
        sift_down(ranges, root, count);
    for (size_t last = count; last-- > 1;) {
        pi_memory_range highest = ranges[0];
        ranges[0] = ranges[last];
        ranges[last] = highest;
        sift_down(ranges, 0, last);
    }
}

/* Joins what overlaps or touches, up to the largest range that readers take; beyond that, what
 * follows begins where the last one ends. */
static void join(pi_plan *plan) {
    pi_memory_range *last = NULL;
    size_t count = 0;
    for (size_t i = 0; i < plan->range_count; i++) {
        pi_memory_range next = plan->ranges[i];
        uint64_t last_end = last == NULL ? 0 : last->address + last->size_bytes;
        uint64_t end = next.address + next.size_bytes;
        if (last != NULL && next.address <= last_end) {
            if (end <= last_end)
                continue;
            if (end - last->address <= PI_PLAN_MAX_RANGE_BYTES) {
                last->size_bytes = end - last->address;
                continue;
            }
            next = (pi_memory_range){last_end, end - last_end};
        }
        last = &plan->ranges[count++];
        *last = next;
    }
    plan->range_count = count;
}

static void collect(pi_plan *plan) {
    plan->range_count = 0;
    for (size_t i = 0; i < plan->thread_count; i++) {
        const pi_plan_thread *thread = &plan->threads[i];
        if (thread->stack.size_bytes != 0)
            plan->ranges[plan->range_count++] = thread->stack;
        pi_memory_range window = window_of(plan, thread->instruction_pointer);
        if (window.size_bytes != 0 && !plan->windows_left_out)
            plan->ranges[plan->range_count++] = window;
    }
    sort_by_address(plan->ranges, plan->range_count);
    join(plan);
}

/* How far the range that holds it reaches behind the stack's beginning. */
static uint64_t reach_of(const pi_memory_range *ranges, size_t count, uint64_t address) {
    size_t low = 0, high = count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle].address <= address)
            low = middle;
        else
            high = middle;
    }
    return ranges[low].address + ranges[low].size_bytes - address;
}

/* A stack that was divided between two ranges ends with the first. */
static void keep_inside_one_range(const pi_plan *plan, pi_plan_thread *thread) {
    uint64_t reach = reach_of(plan->ranges, plan->range_count, thread->stack.address);
    if (thread->stack.size_bytes > reach)
        thread->stack.size_bytes = reach;
}

void pi_plan_extend_stacks(pi_plan *plan, const pi_memory_range *ranges, size_t count) {
    for (size_t i = 0; i < plan->thread_count; i++) {
        pi_plan_thread *thread = &plan->threads[i];
        if (thread->stack.size_bytes == 0)
            continue;
        uint64_t size = reach_of(ranges, count, thread->stack.address);
        if (size > thread->whole_stack_bytes)
            size = thread->whole_stack_bytes;
        if (size > PI_PLAN_MAX_RANGE_BYTES)
            size = PI_PLAN_MAX_RANGE_BYTES;
        thread->is_shortened = thread->is_shortened && size <= thread->stack.size_bytes;
        thread->stack.size_bytes = size;
    }
}

void pi_plan_make(pi_plan *plan) {
    uint64_t windows_bytes = plan->thread_count * PI_PLAN_WINDOW_BYTES;
    plan->windows_left_out = windows_bytes > plan->budget_bytes / 2;
    for (size_t i = 0; i < plan->thread_count; i++)
        find_stack(plan, &plan->threads[i]);
    limit_stacks(plan, plan->budget_bytes - (plan->windows_left_out ? 0 : windows_bytes));
    collect(plan);
    if (plan->range_count > PI_PLAN_MAX_RANGES && !plan->windows_left_out) {
        plan->windows_left_out = true;
        collect(plan);
    }
    plan->total_bytes = 0;
    for (size_t i = 0; i < plan->range_count; i++)
        plan->total_bytes += plan->ranges[i].size_bytes;
    for (size_t i = 0; i < plan->thread_count; i++) {
        pi_plan_thread *thread = &plan->threads[i];
        if (thread->stack.size_bytes != 0)
            keep_inside_one_range(plan, thread);
        thread->is_shortened = thread->stack.size_bytes < thread->whole_stack_bytes;
    }
}
