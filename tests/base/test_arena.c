/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <stdalign.h>

#include <cmocka.h>

#include "base/arena.h"

/* What no system has is NULL under the address sanitizer, too. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1";
}

static void allocations_are_zeroed_aligned_and_disjoint(void **state) {
    (void)state;
    pi_arena *arena = pi_arena_new(24, 64 * 1024 * 1024);
    unsigned char *root = pi_arena_root(arena);
    for (size_t i = 0; i < 24; i++)
        assert_int_equal(root[i], 0);
    memset(root, 0xff, 24);
    /* Sizes on both sides of what chunks hold and of what comes from the system directly. */
    static const size_t sizes[] = {
        1,      15,     16,     17,     1000,    1024,    1025,    16352,   16384,   16385,
        131040, 131056, 131072, 131073, 262112,  262128,  262144,  262145,  1000000, 3,
        5,      524272, 524273, 524288, 2097136, 2097137, 2097152, 2097153, 7};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    unsigned char *made[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        made[i] = pi_arena_alloc(arena, sizes[i]);
        assert_non_null(made[i]);
        assert_int_equal((uintptr_t)made[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(made[i][k], 0);
        memset(made[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(made[i][k], i + 1);
    for (size_t i = 0; i < 24; i++)
        assert_int_equal(root[i], 0xff);
    pi_arena_free_root(root);
}

static void many_small_ones_fill_chunk_after_chunk(void **state) {
    (void)state;
    enum { COUNT = 200000 }; /* 6.4 MB: some of the largest chunks, too */
    pi_arena *arena = pi_arena_new(0, 64 * 1024 * 1024);
    uint64_t *last = NULL;
    for (uint64_t i = 0; i < COUNT; i++) {
        uint64_t *each = pi_arena_alloc(arena, 24);
        assert_non_null(each);
        assert_int_equal(each[2], 0);
        each[0] = i;
        each[2] = (uint64_t)(uintptr_t)last;
        last = each;
    }
    for (uint64_t i = COUNT; i-- > 0; last = (uint64_t *)(uintptr_t)last[2])
        assert_int_equal(last[0], i);
    pi_arena_free_root(pi_arena_root(arena));
}

static void the_limit_holds_and_is_told_apart(void **state) {
    (void)state;
    pi_arena *arena = pi_arena_new(64, 4096);
    assert_null(pi_arena_alloc(arena, 4097));
    assert_true(pi_arena_limit_reached(arena));
    pi_arena_free_root(pi_arena_root(arena));

    arena = pi_arena_new(64, 4096);
    for (int i = 0; i < 4; i++)
        assert_non_null(pi_arena_alloc(arena, 1024));
    assert_false(pi_arena_limit_reached(arena));
    assert_null(pi_arena_alloc(arena, 1));
    assert_true(pi_arena_limit_reached(arena));
    pi_arena_free_root(pi_arena_root(arena));
}

static void a_share_holds_until_it_is_ended(void **state) {
    (void)state;
    pi_arena *arena = pi_arena_new(0, 4096);
    assert_int_equal(pi_arena_remaining(arena), 4096);
    pi_arena_begin_share(arena, 256);
    assert_non_null(pi_arena_alloc(arena, 160));
    assert_null(pi_arena_alloc(arena, 112));
    assert_true(pi_arena_share_reached(arena));
    assert_false(pi_arena_limit_reached(arena));
    assert_int_equal(pi_arena_end_share(arena), 96);
    assert_false(pi_arena_share_reached(arena));
    assert_int_equal(pi_arena_remaining(arena), 4096 - 160);
    assert_non_null(pi_arena_alloc(arena, 1024));
    pi_arena_begin_share(arena, SIZE_MAX); /* no more than the limit all the same */
    assert_null(pi_arena_alloc(arena, 4096));
    assert_false(pi_arena_share_reached(arena));
    assert_true(pi_arena_limit_reached(arena));
    pi_arena_end_share(arena);
    pi_arena_free_root(pi_arena_root(arena));
}

static void sizes_that_overflow_are_refused(void **state) {
    (void)state;
    pi_arena *arena = pi_arena_new(0, SIZE_MAX / 4);
    assert_null(pi_arena_alloc(arena, SIZE_MAX));
    assert_null(pi_arena_alloc_array(arena, SIZE_MAX / 2, 3));
    assert_true(pi_arena_limit_reached(arena));
    assert_null(pi_arena_copy(arena, "", SIZE_MAX));
    pi_arena_free_root(pi_arena_root(arena));
}

static void memory_that_the_system_lacks_is_not_the_limit(void **state) {
    (void)state;
    pi_arena *arena = pi_arena_new(0, SIZE_MAX / 2);
    assert_null(pi_arena_alloc(arena, SIZE_MAX / 4));
    assert_false(pi_arena_limit_reached(arena));
    pi_arena_free_root(pi_arena_root(arena));
}

static void arrays_and_copies(void **state) {
    (void)state;
    pi_arena *arena = pi_arena_new(0, 4096);
    assert_non_null(pi_arena_alloc_array(arena, 0, 8));
    uint32_t *numbers = pi_arena_alloc_array(arena, 100, sizeof *numbers);
    assert_int_equal(numbers[99], 0);
    char *copy = pi_arena_copy(arena, "a\0b", 3);
    assert_memory_equal(copy, "a\0b", 4); /* with a NUL behind it */
    assert_string_equal(pi_arena_copy(arena, NULL, 0), "");
    pi_arena_free_root(pi_arena_root(arena));
    pi_arena_free_root(NULL);
}

static void what_was_read_into_the_room_stays_there(void **state) {
    (void)state;
    pi_arena *arena = pi_arena_new(0, 4096);
    size_t room;
    assert_null(pi_arena_room(arena, 4097, &room));
    char *text = pi_arena_room(arena, 100, &room);
    assert_non_null(text);
    assert_true(room >= 100);
    memset(text, 'x', room);
    memcpy(text, "read", 4);
    assert_ptr_equal(pi_arena_copy(arena, text, 4), text);
    assert_memory_equal(text, "read", 5); /* with a NUL behind it */
    assert_int_equal(pi_arena_remaining(arena), 4096 - 16);
    /* What is behind it was filled with anything, and is zeroed when it is asked for. */
    const char *next = pi_arena_alloc(arena, 16);
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(next[i], 0);
    /* The share holds here, too, and what isn't taken is there for others. */
    text = pi_arena_room(arena, 64, &room);
    pi_arena_begin_share(arena, 32);
    assert_null(pi_arena_copy(arena, text, 64));
    assert_true(pi_arena_share_reached(arena));
    pi_arena_end_share(arena);
    assert_ptr_equal(pi_arena_alloc(arena, 64), text);
    pi_arena_prefetch(arena, SIZE_MAX);
    pi_arena_free_root(pi_arena_root(arena));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_zeroed_aligned_and_disjoint),
        cmocka_unit_test(many_small_ones_fill_chunk_after_chunk),
        cmocka_unit_test(the_limit_holds_and_is_told_apart),
        cmocka_unit_test(a_share_holds_until_it_is_ended),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(memory_that_the_system_lacks_is_not_the_limit),
        cmocka_unit_test(arrays_and_copies),
        cmocka_unit_test(what_was_read_into_the_room_stays_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
