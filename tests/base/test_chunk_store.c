/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/chunk_store.h"

static void *chunk_new(void) {
    void *chunk = mmap(NULL, PI_STORED_CHUNK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(chunk, MAP_FAILED);
    return chunk;
}

/* Nothing is mapped there: asking for what is resident of it fails. */
static int is_unmapped(void *page) {
    unsigned char is_resident;
    return mincore(page, (size_t)sysconf(_SC_PAGESIZE), &is_resident) != 0;
}

static void what_was_given_is_taken_once(void **state) {
    (void)state;
    pi_chunk_store *store = pi_chunk_store_new();
    assert_non_null(store);
    assert_null(pi_chunk_store_take(store));
    void *chunk = chunk_new();
    pi_chunk_store_give(store, chunk);
    assert_ptr_equal(pi_chunk_store_take(store), chunk);
    assert_null(pi_chunk_store_take(store));
    pi_chunk_store_give(store, chunk);
    pi_chunk_store_release(store);
    assert_true(is_unmapped(chunk));
    pi_chunk_store_release(NULL);
}

static void a_full_store_gives_back_to_the_system(void **state) {
    (void)state;
    pi_chunk_store *store = pi_chunk_store_new();
    void *chunks[PI_STORED_CHUNKS + 1];
    for (size_t i = 0; i <= PI_STORED_CHUNKS; i++)
        chunks[i] = chunk_new();
    for (size_t i = 0; i <= PI_STORED_CHUNKS; i++)
        pi_chunk_store_give(store, chunks[i]);
    assert_true(is_unmapped(chunks[PI_STORED_CHUNKS]));
    assert_false(is_unmapped(chunks[0]));
    pi_chunk_store_release(store);
    for (size_t i = 0; i < PI_STORED_CHUNKS; i++)
        assert_true(is_unmapped(chunks[i]));
}

/* So many blocks, each zeroed when it comes; the last one. */
static void *fill(pi_arena *arena, int count) {
    enum { BLOCK = 8 * 1024 };
    unsigned char *last = NULL;
    for (int i = 0; i < count; i++) {
        last = pi_arena_alloc(arena, BLOCK);
        assert_non_null(last);
        for (size_t k = 0; k < BLOCK; k++)
            assert_int_equal(last[k], 0);
        memset(last, 0xee, BLOCK);
    }
    return last;
}

static void arenas_get_zeros_from_what_others_filled(void **state) {
    (void)state;
    enum { BLOCKS = 2000 }; /* nearly 16 MiB */
    pi_chunk_store *store = pi_chunk_store_new();
    pi_arena *arena = pi_arena_new(0, 64 * 1024 * 1024);
    pi_arena_use_store(arena, store);
    void *last = fill(arena, BLOCKS);
    pi_arena_free_root(pi_arena_root(arena));
    assert_false(is_unmapped((void *)((uintptr_t)last & -(uintptr_t)4096)));
    arena = pi_arena_new(0, 64 * 1024 * 1024);
    pi_arena_use_store(arena, store);
    fill(arena, 64); /* what comes then is from the store */
    assert_memory_equal(pi_arena_copy(arena, "text", 4), "text", 5);
    fill(arena, BLOCKS);
    /* An arena that outlives all others keeps the store it gives to. */
    pi_chunk_store_release(store);
    pi_arena_free_root(pi_arena_root(arena));
}

static void *give_and_take(void *user) {
    pi_chunk_store *store = user;
    for (int i = 0; i < 2000; i++) {
        void *chunk = pi_chunk_store_take(store);
        if (chunk == NULL)
            chunk = chunk_new();
        volatile unsigned char *counter = chunk;
        *counter = 0;
        for (int k = 0; k < 50; k++)
            ++*counter; /* by nobody else meanwhile */
        if (*counter != 50)
            return store;
        pi_chunk_store_give(store, chunk);
    }
    return NULL;
}

static void threads_never_have_the_same(void **state) {
    (void)state;
    enum { THREADS = 4 };
    pi_chunk_store *store = pi_chunk_store_new();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, give_and_take, store), 0);
    for (int i = 0; i < THREADS; i++) {
        void *shared_one;
        pthread_join(threads[i], &shared_one);
        assert_null(shared_one);
    }
    pi_chunk_store_release(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_given_is_taken_once),
        cmocka_unit_test(a_full_store_gives_back_to_the_system),
        cmocka_unit_test(arenas_get_zeros_from_what_others_filled),
        cmocka_unit_test(threads_never_have_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
