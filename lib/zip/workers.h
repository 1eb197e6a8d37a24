/* SPDX-License-Identifier: MIT */
#ifndef PI_ZIP_WORKERS_H
#define PI_ZIP_WORKERS_H

#include "zip/block.h"

/*
 * Blocks that are filled one after the other, compressed by threads in whatever order, and taken in
 * the order in which they were filled. All calls are of one thread, the owner's.
 */
typedef struct pi_zip_workers pi_zip_workers;

/* Starts no thread yet; `count` are the most that it will. NULL when out of memory. */
pi_zip_workers *pi_zip_workers_new(int level, size_t count);
void pi_zip_workers_free(pi_zip_workers *workers); /* ends the threads; NULL does nothing */

/* The next block to fill, empty, its window what was submitted last; NULL while all are in use. */
pi_zip_block *pi_zip_workers_next_block(pi_zip_workers *workers);
/* Gives it to be compressed. It must not be empty. */
void pi_zip_workers_submit(pi_zip_workers *workers);

/* Waits until the oldest that was submitted is compressed. It is valid until the next is asked for;
 * NULL where there is none. */
const pi_zip_block *pi_zip_workers_take(pi_zip_workers *workers);

/* The next block has no window: another entry begins. Everything has been taken. */
void pi_zip_workers_restart(pi_zip_workers *workers);

/* How much memory so many take, without the threads' stacks. */
#define PI_ZIP_WORKERS_BLOCKS(count) (2 * (count) + 2)
#define PI_ZIP_WORKERS_MEMORY_BYTES(count)                                                         \
    (PI_ZIP_WORKERS_BLOCKS(count) *                                                                \
         (PI_ZIP_WINDOW_BYTES + PI_ZIP_BLOCK_BYTES + PI_ZIP_PACKED_BYTES) +                        \
     (count)*272 * 1024) /* a compressor: zlib's (1 << 17) + (1 << 17), and some KiB */

#endif
