/* SPDX-License-Identifier: MIT */
#include "zip/failing_memory.h"

#if defined(__SANITIZE_ADDRESS__)

const bool failing_memory_is_there = false;

void failing_memory_begin(size_t number, bool and_on) {
    (void)number;
    (void)and_on;
}

bool failing_memory_end(void) {
    return false;
}

size_t failing_memory_live_count(void) {
    return 0;
}

#else

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

/* glibc's own, under its other names. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void __libc_free(void *memory);

const bool failing_memory_is_there = true;

static atomic_size_t made, live, first_to_fail = SIZE_MAX;
static atomic_bool fails_on, has_failed;

static bool is_to_fail(void) {
    size_t number = atomic_fetch_add(&made, 1), first = atomic_load(&first_to_fail);
    bool fails = number == first || (number > first && atomic_load(&fails_on));
    if (fails) {
        atomic_store(&has_failed, true);
        errno = ENOMEM;
    }
    return fails;
}

/* Steps of malloc's sizes that the calling thread has freed a chunk of and not asked for since. */
enum { STEP_BYTES = 16, STEPS = 64 };
static _Thread_local bool is_cached[STEPS];

static size_t step_of(size_t usable) {
    size_t step = (usable + sizeof(size_t)) / STEP_BYTES;
    return step < STEPS ? step : 0;
}

static bool is_from_cache(size_t size) {
    size_t step =
        step_of(size < 24 ? 24 : (size - 24 + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES + 24);
    bool was_cached = step != 0 && is_cached[step];
    is_cached[step] = false;
    return was_cached;
}

static void *count(void *memory) {
    if (memory != NULL)
        atomic_fetch_add(&live, 1);
    return memory;
}

void *malloc(size_t size) {
    return !is_from_cache(size) && is_to_fail() ? NULL : count(__libc_malloc(size));
}

void *calloc(size_t number, size_t size) {
    return is_to_fail() ? NULL : count(__libc_calloc(number, size));
}

void *realloc(void *old, size_t size) {
    if (is_to_fail())
        return NULL;
    void *memory = __libc_realloc(old, size);
    return old == NULL ? count(memory) : memory;
}

void free(void *memory) {
    if (memory == NULL)
        return;
    atomic_fetch_sub(&live, 1);
    is_cached[step_of(malloc_usable_size(memory))] = true;
    __libc_free(memory);
}

void failing_memory_begin(size_t number, bool and_on) {
    atomic_store(&has_failed, false);
    atomic_store(&fails_on, and_on);
    atomic_store(&first_to_fail, atomic_load(&made) + number);
}

bool failing_memory_end(void) {
    atomic_store(&first_to_fail, SIZE_MAX);
    return atomic_load(&has_failed);
}

size_t failing_memory_live_count(void) {
    return atomic_load(&live);
}

#endif
