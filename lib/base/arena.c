/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    SMALLEST_CHUNK = 16 * 1024,
    MAPPED_CHUNK = 128 * 1024, /* from here on the pages come from the system at once */
    LARGEST_PAGED_CHUNK = 512 * 1024,
    LARGEST_CHUNK = PI_STORED_CHUNK_BYTES /* but for what is larger itself */
};

typedef struct chunk {
    struct chunk *next;
    size_t mapped_size; /* 0: it is calloc's */
} chunk;

struct pi_arena {
    chunk *chunks;         /* besides the one that the arena itself stands in */
    pi_chunk_store *store; /* nullable: where the largest chunks come from and go to */
    unsigned char *free_begin;
    size_t free_size;
    bool is_zero;     /* what is free, as the system gave it */
    size_t next_size; /* of the next chunk */
    size_t used;
    size_t limit;
    size_t share_end; /* `used` goes no further; SIZE_MAX where there is no share */
    int limit_reached;
    int share_reached;
};

static size_t aligned(size_t size) {
    return (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

pi_arena *pi_arena_new(size_t root_size, size_t limit_bytes) {
    size_t head = aligned(sizeof(pi_arena));
    size_t size = head + aligned(root_size) + 1024;
    pi_arena *arena = calloc(1, size);
    if (arena == NULL)
        return NULL;
    arena->free_begin = (unsigned char *)arena + head + aligned(root_size);
    arena->free_size = 1024;
    arena->is_zero = true;
    arena->limit = limit_bytes;
    arena->share_end = SIZE_MAX;
    arena->next_size = SMALLEST_CHUNK;
    return arena;
}

void pi_arena_use_store(pi_arena *arena, pi_chunk_store *store) {
    arena->store = pi_chunk_store_retain(store);
}

void *pi_arena_root(pi_arena *arena) {
    return (unsigned char *)arena + aligned(sizeof(pi_arena));
}

void pi_arena_free_root(const void *root) {
    if (root == NULL)
        return;
    /* The caller's view of the root is const, the library's is not. */
    pi_arena *arena = (pi_arena *)((uintptr_t)root - aligned(sizeof(pi_arena)));
    chunk *next;
    for (chunk *each = arena->chunks; each != NULL; each = next) {
        next = each->next;
        if (each->mapped_size == LARGEST_CHUNK && arena->store != NULL)
            pi_chunk_store_give(arena->store, each);
        else if (each->mapped_size != 0)
            munmap(each, each->mapped_size);
        else
            free(each);
    }
    pi_chunk_store_release(arena->store);
    free(arena);
}

/* Asks for the pages all at once: taking a long answer's one fault at a time costs more than
 * filling them. Where the system can't, they come when they are touched. */
static void populate(void *begin, size_t size) {
#ifdef MADV_POPULATE_WRITE
    madvise(begin, size, MADV_POPULATE_WRITE);
#else
    (void)begin;
    (void)size;
#endif
}

static void *map(size_t size) {
    void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mapped == MAP_FAILED ? NULL : mapped;
}

/* LARGEST_CHUNK bytes, aligned so that the system can give one huge page for them. */
static void *map_huge(void) {
    unsigned char *mapped = map(2 * LARGEST_CHUNK);
    if (mapped == NULL)
        return NULL;
    size_t before = -(uintptr_t)mapped % LARGEST_CHUNK;
    if (before != 0)
        munmap(mapped, before);
    munmap(mapped + before + LARGEST_CHUNK, LARGEST_CHUNK - before);
#ifdef MADV_HUGEPAGE
    madvise(mapped + before, LARGEST_CHUNK, MADV_HUGEPAGE);
#endif
    return mapped + before;
}

/* A zeroed chunk of this size, head included. */
static chunk *new_chunk(size_t size) {
    bool is_mapped = size >= MAPPED_CHUNK && size <= LARGEST_CHUNK;
    chunk *added = !is_mapped ? calloc(1, size) : size == LARGEST_CHUNK ? map_huge() : map(size);
    if (added == NULL)
        return NULL;
    if (is_mapped)
        populate(added, size);
    added->mapped_size = is_mapped ? size : 0;
    return added;
}

/* The next chunk of those that are filled one after another. */
static chunk *next_chunk(pi_arena *arena) {
    size_t size = arena->next_size;
    bool may_be_stored = size >= MAPPED_CHUNK && arena->store != NULL;
    chunk *stored = may_be_stored ? pi_chunk_store_take(arena->store) : NULL;
    if (stored != NULL)
        stored->mapped_size = size = LARGEST_CHUNK;
    chunk *added = stored != NULL ? stored : new_chunk(size);
    if (added == NULL)
        return NULL;
    size_t head = aligned(sizeof(chunk));
    arena->next_size = size < LARGEST_PAGED_CHUNK ? size * 2 : LARGEST_CHUNK;
    arena->free_begin = (unsigned char *)added + head;
    arena->free_size = size - head;
    arena->is_zero = stored == NULL;
    return added;
}

/* Room that isn't in the current chunk. */
static void *take_from_new_chunk(pi_arena *arena, size_t needed) {
    size_t head = aligned(sizeof(chunk));
    bool is_own = needed > arena->next_size - head;
    chunk *added = is_own ? new_chunk(head + needed) : next_chunk(arena);
    if (added == NULL)
        return NULL;
    added->next = arena->chunks;
    arena->chunks = added;
    if (is_own) /* what is left of the last chunk stays in use */
        return (unsigned char *)added + head;
    arena->free_begin += needed;
    arena->free_size -= needed;
    return (unsigned char *)added + head;
}

void *pi_arena_alloc_unset(pi_arena *arena, size_t size) {
    if (size > arena->limit || arena->used > arena->limit - size) {
        arena->limit_reached = 1;
        return NULL;
    }
    size_t needed = aligned(size);
    if (needed > arena->share_end - arena->used) {
        arena->share_reached = 1;
        return NULL;
    }
    void *result = arena->free_begin;
    if (needed > arena->free_size) {
        result = take_from_new_chunk(arena, needed);
        if (result == NULL)
            return NULL;
    } else {
        arena->free_begin += needed;
        arena->free_size -= needed;
    }
    arena->used += needed;
    return result;
}

void *pi_arena_alloc(pi_arena *arena, size_t size) {
    void *result = pi_arena_alloc_unset(arena, size);
    return result != NULL && !arena->is_zero ? memset(result, 0, size) : result;
}

void pi_arena_prefetch(const pi_arena *arena, size_t size) {
    enum { CACHE_LINE = 64 };
    size_t end = size < arena->free_size ? size : arena->free_size;
    for (size_t at = 0; at < end; at += CACHE_LINE)
        __builtin_prefetch(arena->free_begin + at, 1);
}

void *pi_arena_alloc_array(pi_arena *arena, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        arena->limit_reached = 1;
        return NULL;
    }
    return pi_arena_alloc(arena, total);
}

char *pi_arena_room(pi_arena *arena, size_t at_least, size_t *room) {
    if (arena->free_size < at_least)
        return NULL;
    arena->is_zero = false;
    *room = arena->free_size;
    return (char *)arena->free_begin;
}

char *pi_arena_copy(pi_arena *arena, const void *bytes, size_t length) {
    char *copy = length == SIZE_MAX ? NULL : pi_arena_alloc_unset(arena, length + 1);
    if (copy == NULL)
        return NULL;
    if (length != 0 && copy != bytes)
        memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

size_t pi_arena_remaining(const pi_arena *arena) {
    return arena->used < arena->limit ? arena->limit - arena->used : 0;
}

void pi_arena_begin_share(pi_arena *arena, size_t size) {
    arena->share_end = size < SIZE_MAX - arena->used ? arena->used + size : SIZE_MAX;
    arena->share_reached = 0;
}

size_t pi_arena_end_share(pi_arena *arena) {
    size_t left = arena->share_end - arena->used;
    arena->share_end = SIZE_MAX;
    arena->share_reached = 0;
    return left;
}

int pi_arena_share_reached(const pi_arena *arena) {
    return arena->share_reached;
}

int pi_arena_limit_reached(const pi_arena *arena) {
    return arena->limit_reached;
}
