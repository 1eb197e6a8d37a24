/* SPDX-License-Identifier: MIT */
#ifndef TESTS_ZIP_FAILING_MEMORY_H
#define TESTS_ZIP_FAILING_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * An allocator in malloc's place, for the whole program and the libraries that it uses, that fails
 * when told to. As glibc's own, it keeps what a thread has freed for the same thread: what comes
 * from there doesn't fail, and doesn't count. A sanitizer brings an allocator of its own: is_there
 * is false then, and nothing fails.
 */
extern const bool failing_memory_is_there;

/* From now on: the allocation with this number fails (0 is the next), and with `and_on` all after
 * it. Of every thread. */
void failing_memory_begin(size_t number, bool and_on);
/* None fails any more; whether one has. */
bool failing_memory_end(void);

/* How many allocations have not been freed. */
size_t failing_memory_live_count(void);

#endif
