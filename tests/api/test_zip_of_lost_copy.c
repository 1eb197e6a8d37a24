/* SPDX-License-Identifier: MIT */
/* The copy of the target is killed while its dump is sent as a zip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/mman.h>

#include <procinspect.h>

#include "api/copied_dump.h"
#include "platform/capture/copy_child.h"
#include "zip/own_tasks.h"

enum { RANDOM_BYTES = 24 * 1024 * 1024, MOST_ZIP_BYTES = 64 * 1024 * 1024 };

/* What hardly gets smaller, so that the zip is long behind its reader. */
static void holds_random_memory(child_board *board) {
    uint64_t *memory =
        mmap(NULL, RANDOM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t word = 88172645463325252u;
    for (size_t i = 0; memory != MAP_FAILED && i < RANDOM_BYTES / sizeof word; i++) {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        memory[i] = word;
    }
    beating_body(board);
}

/* Readers look for it at the end. */
static bool ends_with_directory(const unsigned char *zip, size_t length) {
    enum { END_BYTES = 22 };
    return length >= END_BYTES && memcmp(zip + length - END_BYTES, "PK\x05\x06", 4) == 0;
}

/* Until it has ended it can be read, and be read to its end. */
static void end_copy_of(pid_t pid) {
    pid_t copy = only_child_of(pid);
    kill(copy, SIGKILL);
    for (char state; (state = thread_state(copy, copy)) != 0 && state != 'Z' && state != 'X';)
        sleep_ms(1);
}

/* Reads so many bytes, and the rest once the copy has gone. */
static void lose_it_after(size_t bytes, const test_child *child) {
    size_t tasks = own_task_count(), descriptors = own_descriptor_count();
    procinspect_dump_stream_options options;
    procinspect_stream *stream;
    procinspect_error error = {0};
    unsigned char *zip = malloc(MOST_ZIP_BYTES);
    size_t length, done = 0;
    assert_non_null(zip);
    procinspect_dump *dump = copied_dump_of(child->pid, PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY);
    procinspect_dump_stream_options_init(&options, sizeof options);
    options.format = PROCINSPECT_DUMP_FORMAT_ZIP;
    options.workers = 2;
    assert_int_equal(procinspect_stream_open_dump(dump, &options, &stream, NULL), 0);
    procinspect_dump_free(dump);
    for (; done < bytes; done += length)
        assert_int_equal(procinspect_stream_read(stream, zip + done, bytes - done, &length, NULL),
                         0);
    end_copy_of(child->pid);
    while (procinspect_stream_read(stream, zip + done, MOST_ZIP_BYTES - done, &length, &error) ==
           0) {
        assert_true(length != 0); /* it would be the end */
        done += length;
    }
    assert_int_equal(error.code, PROCINSPECT_ERROR_IO);
    assert_non_null(strstr(error.message, "was killed"));
    assert_int_equal(procinspect_stream_read(stream, zip, 1, &length, &error),
                     PROCINSPECT_ERROR_IO); /* for good */
    assert_false(ends_with_directory(zip, done));
    assert_null(procinspect_stream_zip_manifest(stream));
    procinspect_stream_free(stream);
    assert_own_tasks(tasks);
    assert_int_equal(own_descriptor_count(), descriptors);
    assert_int_equal(count_children(child->pid), 0);
    assert_beats(child);
    free(zip);
}

static void the_zip_ends_with_an_error(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(holds_random_memory);
    lose_it_after(0, &child);
    lose_it_after(1, &child);
    lose_it_after(5 * 1024 * 1024, &child);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_zip_ends_with_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
