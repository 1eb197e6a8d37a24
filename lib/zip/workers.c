/* SPDX-License-Identifier: MIT */
#include "zip/workers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"

typedef struct worker {
    pi_zip_workers *all;
    pi_zip_compressor compressor;
    pthread_t thread;
} worker;

/* Blocks stand in a ring. They are numbered as they are filled; the numbers say how far each step
 * has come, and number % block_count is the place. */
struct pi_zip_workers {
    int level;
    pi_zip_zero_block zeros;

    pi_zip_block *blocks;
    size_t block_count;
    unsigned char *memory; /* all the blocks' */
    bool *is_packed;       /* by place; under the lock */
    uint64_t submitted;    /* under the lock, and only the owner changes it */
    uint64_t begun;        /* under the lock */
    uint64_t taken;        /* the owner's */
    bool has_window;       /* the owner's: something of this entry has been submitted */

    pthread_mutex_t lock;
    pthread_cond_t has_work;
    pthread_cond_t has_packed;
    bool is_ending; /* under the lock */

    /* The first one's compressor is there from the beginning, the others' come with their threads:
     * where there is no thread the owner compresses with it. */
    worker *workers;
    size_t most_threads;
    size_t thread_count;
    bool has_no_more_threads;
};

static bool allocate_blocks(pi_zip_workers *workers) {
    const size_t each_bytes = PI_ZIP_WINDOW_BYTES + PI_ZIP_BLOCK_BYTES + PI_ZIP_PACKED_BYTES;
    workers->blocks = calloc(workers->block_count, sizeof *workers->blocks);
    workers->is_packed = calloc(workers->block_count, sizeof *workers->is_packed);
    workers->memory = malloc(workers->block_count * each_bytes);
    if (workers->blocks == NULL || workers->is_packed == NULL || workers->memory == NULL)
        return false;
    for (size_t i = 0; i < workers->block_count; i++) {
        pi_zip_block *block = &workers->blocks[i];
        block->window = workers->memory + i * each_bytes;
        block->data = block->window + PI_ZIP_WINDOW_BYTES;
        block->packed = block->data + PI_ZIP_BLOCK_BYTES;
    }
    return true;
}

pi_zip_workers *pi_zip_workers_new(int level, size_t count) {
    pi_zip_workers *made = calloc(1, sizeof *made);
    if (made == NULL)
        return NULL;
    made->level = level;
    made->most_threads = count;
    made->block_count = PI_ZIP_WORKERS_BLOCKS(count);
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->has_work, NULL);
    pthread_cond_init(&made->has_packed, NULL);
    made->workers = calloc(count, sizeof *made->workers);
    if (made->workers == NULL || !allocate_blocks(made) ||
        !pi_zip_compressor_init(&made->workers[0].compressor, level) ||
        (level != 0 && !pi_zip_zero_block_make(&made->blocks[0], &made->zeros))) {
        pi_zip_workers_free(made);
        return NULL;
    }
    return made;
}

void pi_zip_workers_free(pi_zip_workers *workers) {
    if (workers == NULL)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->is_ending = true;
    pthread_cond_broadcast(&workers->has_work);
    pthread_mutex_unlock(&workers->lock);
    for (size_t i = 0; i < workers->thread_count; i++)
        pthread_join(workers->workers[i].thread, NULL);
    /* The first one's is there without a thread too; of one that never was nothing is freed. */
    for (size_t i = 0; workers->workers != NULL && i < workers->most_threads; i++)
        pi_zip_compressor_end(&workers->workers[i].compressor);
    pthread_cond_destroy(&workers->has_packed);
    pthread_cond_destroy(&workers->has_work);
    pthread_mutex_destroy(&workers->lock);
    free(workers->blocks);
    free(workers->is_packed);
    free(workers->workers);
    free(workers->memory);
    free(workers);
}

static void *work(void *user) {
    worker *self = user;
    pi_zip_workers *all = self->all;
    pthread_mutex_lock(&all->lock);
    for (;;) {
        while (!all->is_ending && all->begun == all->submitted)
            pthread_cond_wait(&all->has_work, &all->lock);
        if (all->is_ending)
            break;
        size_t place = (size_t)(all->begun++ % all->block_count);
        pthread_mutex_unlock(&all->lock);
        pi_zip_block_pack(&self->compressor, &all->zeros, &all->blocks[place]);
        pthread_mutex_lock(&all->lock);
        all->is_packed[place] = true;
        pthread_cond_signal(&all->has_packed);
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

/* One with each block, as long as there may be more: few blocks need few threads. */
static void start_one_more(pi_zip_workers *workers) {
    if (workers->has_no_more_threads || workers->thread_count == workers->most_threads)
        return;
    worker *next = &workers->workers[workers->thread_count];
    next->all = workers;
    bool has_compressor =
        workers->thread_count == 0 || pi_zip_compressor_init(&next->compressor, workers->level);
    if (has_compressor && pi_thread_start(&next->thread, work, next))
        workers->thread_count++;
    else
        workers->has_no_more_threads = true;
}

pi_zip_block *pi_zip_workers_next_block(pi_zip_workers *workers) {
    if (workers->submitted - workers->taken == workers->block_count)
        return NULL;
    pi_zip_block *next = &workers->blocks[workers->submitted % workers->block_count];
    next->length = 0;
    next->window_length = 0;
    if (!workers->has_window)
        return next;
    /* It may just be compressed, which changes nothing of its bytes, or have been taken: the place
     * of the block before is the last that is filled anew. */
    const pi_zip_block *before = &workers->blocks[(workers->submitted - 1) % workers->block_count];
    size_t known = before->window_length + before->length;
    next->window_length = known < PI_ZIP_WINDOW_BYTES ? known : PI_ZIP_WINDOW_BYTES;
    memcpy(next->data - next->window_length, before->data + before->length - next->window_length,
           next->window_length);
    return next;
}

void pi_zip_workers_submit(pi_zip_workers *workers) {
    start_one_more(workers);
    pthread_mutex_lock(&workers->lock);
    workers->is_packed[workers->submitted % workers->block_count] = false;
    workers->submitted++;
    pthread_cond_signal(&workers->has_work);
    pthread_mutex_unlock(&workers->lock);
    workers->has_window = true;
}

const pi_zip_block *pi_zip_workers_take(pi_zip_workers *workers) {
    if (workers->taken == workers->submitted)
        return NULL;
    size_t place = (size_t)(workers->taken++ % workers->block_count);
    pi_zip_block *block = &workers->blocks[place];
    if (workers->thread_count == 0) {
        pi_zip_block_pack(&workers->workers[0].compressor, &workers->zeros, block);
        return block;
    }
    pthread_mutex_lock(&workers->lock);
    while (!workers->is_packed[place])
        pthread_cond_wait(&workers->has_packed, &workers->lock);
    pthread_mutex_unlock(&workers->lock);
    return block;
}

void pi_zip_workers_restart(pi_zip_workers *workers) {
    workers->has_window = false;
}
