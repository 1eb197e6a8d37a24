/* SPDX-License-Identifier: MIT */
#include "platform/linux/kill/index.h"

/* Open addressing. */
static uint32_t first_slot_of(int32_t key) {
    return ((uint32_t)key * UINT32_C(2654435761)) >> (32 - 19);
}

static uint32_t slot_of(const pi_kill_index *index, int32_t key) {
    uint32_t slot = first_slot_of(key);
    while (index->keys[slot] != 0 && index->keys[slot] != key)
        slot = (slot + 1) % PI_KILL_INDEX_SLOTS;
    return slot;
}

int32_t pi_kill_index_find(const pi_kill_index *index, int32_t key) {
    uint32_t slot = slot_of(index, key);
    return key > 0 && index->keys[slot] == key ? index->values[slot] : -1;
}

void pi_kill_index_set(pi_kill_index *index, int32_t key, int32_t value) {
    uint32_t slot = slot_of(index, key);
    if (index->keys[slot] == 0) {
        if (index->used >= PI_KILL_INDEX_SLOTS / 2)
            return;
        index->keys[slot] = key;
        index->used++;
    }
    index->values[slot] = value;
}

void pi_kill_index_remove(pi_kill_index *index, int32_t key) {
    uint32_t hole = slot_of(index, key), at = hole;
    if (key <= 0 || index->keys[hole] != key)
        return;
    index->used--;
    /* Those behind it move up, unless they would come to stand before their first slot. */
    while (index->keys[at = (at + 1) % PI_KILL_INDEX_SLOTS] != 0) {
        uint32_t first = first_slot_of(index->keys[at]);
        if ((at - first) % PI_KILL_INDEX_SLOTS < (at - hole) % PI_KILL_INDEX_SLOTS)
            continue;
        index->keys[hole] = index->keys[at];
        index->values[hole] = index->values[at];
        hole = at;
    }
    index->keys[hole] = 0;
}
