/* SPDX-License-Identifier: MIT */
#include "model/snapshot.h"

void pi_snapshot_free(pi_snapshot *snapshot) {
    if (snapshot == NULL)
        return;
    if (snapshot->source != NULL)
        snapshot->source->release(snapshot->source);
    pi_arena_free_root(snapshot);
}
