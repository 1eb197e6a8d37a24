/* SPDX-License-Identifier: MIT */
/* Streams over a dump by copy: several at once, and the copy lives until the last of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <procinspect.h>

#include "api/copied_dump.h"
#include "platform/capture/copy_child.h"

enum { MEMORY_BYTES = 24 * 1024 * 1024, READERS = 4, PART_BYTES = 100000 };

/* What the target shares may change while the dump is read: the board, in which it beats. */
static const uint32_t unshared = PROCINSPECT_DUMP_TYPE_WITH_PRIVATE_READ_WRITE_MEMORY;

/* Each page of it is another one; nothing of it changes. */
static void still_body(child_board *board) {
    uint64_t *memory =
        mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        _exit(1);
    for (size_t i = 0; i < MEMORY_BYTES / sizeof *memory; i++)
        memory[i] = i * UINT64_C(0x9e3779b97f4a7c15);
    beating_body(board);
}

static procinspect_stream *open_stream(procinspect_dump *dump) {
    procinspect_stream *stream;
    assert_int_equal(procinspect_stream_open_dump(dump, NULL, &stream, NULL), 0);
    return stream;
}

static unsigned char *read_whole(const procinspect_dump *dump) {
    const size_t size = procinspect_dump_size_bytes(dump);
    size_t length = 1;
    unsigned char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t at = 0; at < size && length != 0; at += length)
        assert_int_equal(procinspect_dump_read_at(dump, at, bytes + at, size - at, &length, NULL),
                         0);
    return bytes;
}

/* --- Several at once --- */

/* A thread with a stream of its own. cmocka's assertions are the main thread's: what is wrong it
 * counts. */
typedef struct reader {
    pthread_t thread;
    procinspect_stream *stream;
    const unsigned char *expected;
    size_t size;
    size_t part_bytes;
    pthread_barrier_t *middle;
    unsigned wrong;
} reader;

/* Until it has given so many bytes. */
static void read_until(reader *it, size_t end) {
    unsigned char part[PART_BYTES];
    size_t length = 1;
    for (size_t at = procinspect_stream_position_bytes(it->stream); at < end && length != 0;
         at += length) {
        if (procinspect_stream_read(it->stream, part, it->part_bytes, &length, NULL) != 0) {
            it->wrong++;
            return;
        }
        it->wrong += length > it->size - at || memcmp(part, it->expected + at, length) != 0;
    }
}

static void *read_in_two_halves(void *argument) {
    reader *it = argument;
    read_until(it, it->size / 2);
    pthread_barrier_wait(it->middle);
    read_until(it, it->size);
    it->wrong += procinspect_stream_position_bytes(it->stream) != it->size;
    procinspect_stream_free(it->stream);
    return NULL;
}

static void test_all_give_the_same(void **state) {
    reader readers[READERS];
    pthread_barrier_t middle;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(still_body);
    const size_t descriptors = count_descriptors();
    procinspect_dump *dump = copied_dump_of(child.pid, unshared);
    assert_true(procinspect_dump_size_bytes(dump) > MEMORY_BYTES);
    unsigned char *expected = read_whole(dump);
    assert_int_equal(pthread_barrier_init(&middle, NULL, READERS + 1), 0);
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (reader){.stream = open_stream(dump),
                              .expected = expected,
                              .size = procinspect_dump_size_bytes(dump),
                              .part_bytes = PART_BYTES - i * 7777,
                              .middle = &middle};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_in_two_halves, &readers[i]),
                         0);
    }
    pthread_barrier_wait(&middle);
    procinspect_dump_free(dump);
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].wrong, 0);
    }
    assert_int_equal(count_children(child.pid), 0);
    assert_int_equal(count_descriptors(), descriptors);
    assert_beats(&child);
    pthread_barrier_destroy(&middle);
    free(expected);
    child_end(&child);
}

/* --- Midway --- */

static void read_some(procinspect_stream *stream) {
    unsigned char part[PART_BYTES];
    size_t length;
    for (size_t done = 0; done < MEMORY_BYTES / 2; done += length) {
        assert_int_equal(procinspect_stream_read(stream, part, sizeof part, &length, NULL), 0);
        assert_true(length != 0);
    }
}

static void test_none_is_read_to_its_end(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(still_body);
    const size_t descriptors = count_descriptors();
    for (int i = 0; i < 5; i++) {
        procinspect_dump *dump = copied_dump_of(child.pid, unshared);
        procinspect_stream *begun = open_stream(dump), *untouched = open_stream(dump);
        read_some(begun);
        procinspect_dump_free(dump);
        assert_int_equal(count_children(child.pid), 1);
        procinspect_stream_free(begun);
        assert_int_equal(count_children(child.pid), 1);
        procinspect_stream_free(untouched);
        assert_int_equal(count_children(child.pid), 0);
        assert_int_equal(count_descriptors(), descriptors);
        assert_beats(&child);
    }
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_give_the_same),
        cmocka_unit_test(test_none_is_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
