/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A file of every kind of piece, some of one byte: numbers, borrowed text, memory. */
static laid_out small_file(fake_memory *memory, pi_snapshot *snapshot) {
    static pi_memory_range ranges[] = {{0x1000, 1}, {0x2000, 37}, {0x3000, 64}};
    static const char text[] = "7ffe-7fff r--p 00000000 00:00 0\n";
    *snapshot = bare_snapshot(memory);
    snapshot->memory = ranges;
    snapshot->memory_count = 3;
    snapshot->texts[PI_TEXT_MAPS] = (pi_bytes){text, sizeof text - 1};
    snapshot->texts[PI_TEXT_ENVIRONMENT] = (pi_bytes){"=", 1};
    return lay_out(snapshot);
}

static void any_part_is_that_part_of_the_whole(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot;
    laid_out file = small_file(&memory, &snapshot);
    unsigned char *part = malloc(file.length + 16);
    for (size_t offset = 0; offset <= file.length + 8; offset++) {
        for (size_t capacity = 0; capacity <= file.length + 8; capacity++) {
            size_t left = offset >= file.length ? 0 : file.length - offset;
            size_t expected = capacity < left ? capacity : left, length = 9999999;
            memset(part + expected, 0xee, 4);
            assert_int_equal(pi_image_read_at(file.image, offset, part, capacity, &length, NULL),
                             0);
            assert_int_equal(length, expected);
            if (expected != 0)
                assert_memory_equal(part, file.bytes + offset, expected);
            assert_int_equal(part[expected], 0xee);
        }
    }
    free(part);
    laid_out_free(&file);
}

static void offsets_far_beyond_the_end_read_nothing(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot;
    laid_out file = small_file(&memory, &snapshot);
    char byte;
    size_t length = 7;
    assert_int_equal(pi_image_read_at(file.image, UINT64_MAX, &byte, 1, &length, NULL), 0);
    assert_int_equal(length, 0);
    laid_out_free(&file);
}

static void memory_that_cannot_be_read_fails_and_sets_no_length(void **state) {
    (void)state;
    fake_memory memory;
    pi_snapshot snapshot;
    laid_out file = small_file(&memory, &snapshot);
    procinspect_error error = {0};
    size_t length = 7;
    memory.reads_left = 1; /* the first range, not the second */
    assert_int_equal(pi_image_read_at(file.image, 0, file.bytes, file.length, &length, &error),
                     PROCINSPECT_ERROR_IO);
    assert_int_equal(length, 7);
    assert_string_equal(error.message, "The copy is gone.");
    assert_int_equal(pi_image_read_at(file.image, 0, file.bytes, 32, &length, &error), 0);
    assert_int_equal(length, 32);
    laid_out_free(&file);
}

typedef struct reader {
    const laid_out *file;
    unsigned seed;
    int wrong;
} reader;

static void *read_at_random(void *argument) {
    reader *self = argument;
    unsigned char part[300];
    for (int i = 0; i < 20000; i++) {
        size_t offset = (size_t)rand_r(&self->seed) % self->file->length;
        size_t capacity = (size_t)rand_r(&self->seed) % sizeof part, length;
        if (pi_image_read_at(self->file->image, offset, part, capacity, &length, NULL) != 0 ||
            memcmp(part, self->file->bytes + offset, length) != 0)
            self->wrong++;
    }
    return NULL;
}

static void many_threads_read_the_same(void **state) {
    (void)state;
    enum { READERS = 8 };
    fake_memory memory;
    pi_snapshot snapshot;
    laid_out file = small_file(&memory, &snapshot);
    pthread_t threads[READERS];
    reader readers[READERS];
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (reader){&file, i + 1, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, read_at_random, &readers[i]), 0);
    }
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].wrong, 0);
    }
    laid_out_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_part_is_that_part_of_the_whole),
        cmocka_unit_test(offsets_far_beyond_the_end_read_nothing),
        cmocka_unit_test(memory_that_cannot_be_read_fails_and_sets_no_length),
        cmocka_unit_test(many_threads_read_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
