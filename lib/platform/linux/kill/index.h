/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_KILL_INDEX_H
#define PI_PLATFORM_LINUX_KILL_INDEX_H

#include <stdint.h>

/* Numbers above 0 to numbers from 0 on; in memory of the host's that starts as zeros. */
enum { PI_KILL_INDEX_SLOTS = 1 << 19 };

typedef struct pi_kill_index {
    uint32_t used; /* slots */
    int32_t keys[PI_KILL_INDEX_SLOTS];
    int32_t values[PI_KILL_INDEX_SLOTS];
} pi_kill_index;

/* -1 where it isn't there. */
int32_t pi_kill_index_find(const pi_kill_index *index, int32_t key);
/* Adds or replaces; what no longer fits is left out, which only ever leaves more for a look at
 * /proc to find. */
void pi_kill_index_set(pi_kill_index *index, int32_t key, int32_t value);
void pi_kill_index_remove(pi_kill_index *index, int32_t key);

#endif
