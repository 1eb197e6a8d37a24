/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_PLAN_H
#define PI_PLATFORM_LINUX_CAPTURE_PLAN_H

#include <stdbool.h>

#include "model/snapshot.h"

/*
 * Which memory a dump of type Normal holds: each thread's stack and the code around its instruction
 * pointer. It is worked out while the process stands, so nothing here calls libc or allocates.
 */

/* Limits of Breakpad's readers: a memory list with more, or larger, ranges is rejected whole. */
#define PI_PLAN_MAX_RANGES 4096u
#define PI_PLAN_MAX_RANGE_BYTES (UINT64_C(64) << 20)

#define PI_PLAN_MAX_STACK_BYTES (UINT64_C(1) << 20)
#define PI_PLAN_RED_ZONE_BYTES UINT64_C(128)
#define PI_PLAN_WINDOW_BYTES UINT64_C(256)

/* A mapping that can be read. */
typedef struct pi_plan_mapping {
    uint64_t start;
    uint64_t end;
} pi_plan_mapping;

/* Takes the readable mappings from the text of /proc/PID/maps, at most `capacity`. What is no line
 * of maps is passed over. */
size_t pi_plan_parse_maps(const char *text, size_t length, pi_plan_mapping *mappings,
                          size_t capacity);

typedef struct pi_plan_thread {
    uint64_t stack_pointer;
    uint64_t instruction_pointer;
    pi_memory_range stack;      /* result; size 0: the stack pointer leads nowhere */
    uint64_t whole_stack_bytes; /* result: what the stack would be without limits */
    bool is_shortened;          /* result: a limit made it shorter than that */
} pi_plan_thread;

typedef struct pi_plan {
    const pi_plan_mapping *mappings; /* ascending */
    size_t mapping_count;
    pi_plan_thread *threads;
    size_t thread_count;
    uint64_t budget_bytes;
    pi_memory_range *ranges; /* room for two for each thread */

    size_t range_count; /* results: ascending, disjoint */
    uint64_t total_bytes;
    bool windows_left_out;
} pi_plan;

void pi_plan_make(pi_plan *plan);

/* Where a dump holds more than the plan's ranges, `ranges` of which each of those is a part: makes
 * the stacks as long as that reaches, but none longer than the largest range. One that ends before
 * a page that doesn't exist isn't shortened. */
void pi_plan_extend_stacks(pi_plan *plan, const pi_memory_range *ranges, size_t count);

/* The readable mapping that holds this address; NULL where none does. */
const pi_plan_mapping *pi_plan_find_mapping(const pi_plan *plan, uint64_t address);

#endif
