/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE = 16 * 1024 };

typedef struct chunk {
    struct chunk *next;
} chunk;

struct pi_arena {
    chunk *chunks; /* besides the one that the arena itself stands in */
    unsigned char *free_begin;
    size_t free_size;
    size_t used;
    size_t limit;
    int limit_reached;
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
    arena->limit = limit_bytes;
    return arena;
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
        free(each);
    }
    free(arena);
}

void *pi_arena_alloc(pi_arena *arena, size_t size) {
    if (size > arena->limit || arena->used > arena->limit - size) {
        arena->limit_reached = 1;
        return NULL;
    }
    size_t needed = aligned(size);
    if (needed > arena->free_size) {
        size_t head = aligned(sizeof(chunk));
        size_t capacity = needed > CHUNK_SIZE ? needed : CHUNK_SIZE;
        chunk *added = calloc(1, head + capacity);
        if (added == NULL)
            return NULL;
        added->next = arena->chunks;
        arena->chunks = added;
        if (capacity == needed) { /* of its own: what is left of the last chunk stays in use */
            arena->used += needed;
            return (unsigned char *)added + head;
        }
        arena->free_begin = (unsigned char *)added + head;
        arena->free_size = capacity;
    }
    void *result = arena->free_begin;
    arena->free_begin += needed;
    arena->free_size -= needed;
    arena->used += needed;
    return result;
}

void *pi_arena_alloc_array(pi_arena *arena, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        arena->limit_reached = 1;
        return NULL;
    }
    return pi_arena_alloc(arena, total);
}

char *pi_arena_copy(pi_arena *arena, const void *bytes, size_t length) {
    char *copy = length == SIZE_MAX ? NULL : pi_arena_alloc(arena, length + 1);
    if (copy != NULL && length != 0)
        memcpy(copy, bytes, length);
    return copy;
}

int pi_arena_limit_reached(const pi_arena *arena) {
    return arena->limit_reached;
}
