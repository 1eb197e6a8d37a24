/* SPDX-License-Identifier: MIT */
#include "base/chunk_store.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

struct pi_chunk_store {
    atomic_uint references;
    _Atomic(void *) chunks[PI_STORED_CHUNKS];
};

pi_chunk_store *pi_chunk_store_new(void) {
    pi_chunk_store *store = calloc(1, sizeof *store);
    if (store != NULL)
        atomic_init(&store->references, 1);
    return store;
}

pi_chunk_store *pi_chunk_store_retain(pi_chunk_store *store) {
    atomic_fetch_add(&store->references, 1);
    return store;
}

void pi_chunk_store_release(pi_chunk_store *store) {
    if (store == NULL || atomic_fetch_sub(&store->references, 1) != 1)
        return;
    for (void *chunk; (chunk = pi_chunk_store_take(store)) != NULL;)
        munmap(chunk, PI_STORED_CHUNK_BYTES);
    free(store);
}

void *pi_chunk_store_take(pi_chunk_store *store) {
    for (int i = 0; i < PI_STORED_CHUNKS; i++) {
        void *chunk = atomic_exchange(&store->chunks[i], NULL);
        if (chunk != NULL)
            return chunk;
    }
    return NULL;
}

void pi_chunk_store_give(pi_chunk_store *store, void *chunk) {
    /* Who takes it from the store writes to it, and what was written to stays. */
    madvise(chunk, PI_STORED_CHUNK_BYTES, MADV_FREE);
    for (int i = 0; i < PI_STORED_CHUNKS; i++) {
        void *none = NULL;
        if (atomic_compare_exchange_strong(&store->chunks[i], &none, chunk))
            return;
    }
    munmap(chunk, PI_STORED_CHUNK_BYTES);
}
