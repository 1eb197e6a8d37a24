/* SPDX-License-Identifier: MIT */
#ifndef PI_BASE_ARENA_H
#define PI_BASE_ARENA_H

#include <stddef.h>

#include "base/chunk_store.h"

/*
 * Memory that is freed all at once: one arena holds a handed-out struct and everything it leads to,
 * so that its _free function is one call and no field costs an allocation. The arena's limit bounds
 * what a hostile target can make us allocate.
 */
typedef struct pi_arena pi_arena;

/* An arena with a zeroed root object of root_size bytes at its start; NULL when out of memory. */
pi_arena *pi_arena_new(size_t root_size, size_t limit_bytes);
/* For an arena that may get large and of a kind that comes again: takes a reference. */
void pi_arena_use_store(pi_arena *arena, pi_chunk_store *store);
void *pi_arena_root(pi_arena *arena);

/* Frees the arena whose root this is; NULL does nothing. */
void pi_arena_free_root(const void *root);

/* Zeroed, aligned for any type; NULL when out of memory or beyond the limit. */
void *pi_arena_alloc(pi_arena *arena, size_t size);
void *pi_arena_alloc_array(pi_arena *arena, size_t count, size_t size);
/* The same filled with anything, for who fills all of it. */
void *pi_arena_alloc_unset(pi_arena *arena, size_t size);

/* Has the processor fetch what is handed out next, so many bytes, which will be written to soon. */
void pi_arena_prefetch(const pi_arena *arena, size_t size);

/*
 * Room for bytes whose number is known only when they are there, filled with anything: what the
 * arena has at hand, at least `at_least` bytes, or NULL. It stays the arena's, to be taken before
 * anything else by the first *room bytes or fewer of pi_arena_alloc_unset or pi_arena_copy.
 */
char *pi_arena_room(pi_arena *arena, size_t at_least, size_t *room);

/* A copy of the bytes with a NUL behind them; themselves where they stand in pi_arena_room. */
char *pi_arena_copy(pi_arena *arena, const void *bytes, size_t length);

/* What the limit leaves. */
size_t pi_arena_remaining(const pi_arena *arena);

/*
 * Until the share is ended allocations take at most so much more: what one of many may use up of
 * what is for all. The end tells how much of it is left.
 */
void pi_arena_begin_share(pi_arena *arena, size_t size);
size_t pi_arena_end_share(pi_arena *arena);

/* True once an allocation was refused because of the share, until that is ended. */
int pi_arena_share_reached(const pi_arena *arena);

/* True once an allocation was refused because of the limit, not for want of memory. */
int pi_arena_limit_reached(const pi_arena *arena);

#endif
