/* SPDX-License-Identifier: MIT */
#ifndef PI_BASE_CHUNK_STORE_H
#define PI_BASE_CHUNK_STORE_H

/*
 * Memory of answers that were freed, for the next ones: having fresh pages for a long listing
 * cleared costs more than filling them. It keeps PI_STORED_CHUNKS at most, and those the system may
 * take back as soon as it runs short of memory. For any number of threads at once.
 */
typedef struct pi_chunk_store pi_chunk_store;

/* A huge page, aligned as one. */
enum { PI_STORED_CHUNK_BYTES = 2 * 1024 * 1024, PI_STORED_CHUNKS = 8 };

/* Empty, with one reference; NULL when out of memory. */
pi_chunk_store *pi_chunk_store_new(void);
pi_chunk_store *pi_chunk_store_retain(pi_chunk_store *store);
/* Gives one reference back; the last one frees what is in store. NULL does nothing. */
void pi_chunk_store_release(pi_chunk_store *store);

/* PI_STORED_CHUNK_BYTES, filled with anything; NULL where none is in store. */
void *pi_chunk_store_take(pi_chunk_store *store);
/* For such memory, from mmap: kept, or unmapped where the store is full. */
void pi_chunk_store_give(pi_chunk_store *store, void *chunk);

#endif
