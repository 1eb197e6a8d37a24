/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"

/* What no system has is NULL under the address sanitizer, too. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1";
}

/* A pipe whose other end is written by a child in parts, which no single read can answer. */
static int pipe_with(const char *part, size_t part_length, size_t parts, pid_t *child) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    *child = fork();
    if (*child == 0) {
        close(ends[0]);
        for (size_t i = 0; i < parts; i++)
            if (write(ends[1], part, part_length) != (ssize_t)part_length)
                _exit(1);
        _exit(0);
    }
    close(ends[1]);
    return ends[0];
}

static void read_pipe(size_t part_length, size_t parts, size_t limit, pi_buffer *buffer) {
    char part[1000];
    memset(part, 'p', sizeof part);
    pid_t child;
    int descriptor = pipe_with(part, part_length, parts, &child);
    assert_int_equal(pi_read_descriptor(descriptor, buffer, limit), 0);
    pi_close(descriptor);
    waitpid(child, NULL, 0);
    for (size_t i = 0; i < buffer->length; i++)
        assert_int_equal(buffer->data[i], 'p');
}

static void files_are_read_to_their_end(void **state) {
    (void)state;
    pi_buffer buffer = {0};
    read_pipe(1000, 100, 1 << 20, &buffer);
    assert_int_equal(buffer.length, 100000);
    read_pipe(7, 3, 1 << 20, &buffer); /* the buffer is reused, and holds only the new bytes */
    assert_int_equal(buffer.length, 21);
    read_pipe(1, 0, 1 << 20, &buffer);
    assert_int_equal(buffer.length, 0);
    pi_buffer_free(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.capacity, 0);
}

static void longer_files_are_cut_at_the_limit(void **state) {
    (void)state;
    static const size_t limits[] = {0, 1, 4095, 4096, 4097, 9999, 10000, 10001};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        pi_buffer buffer = {0};
        read_pipe(1000, 10, limits[i], &buffer);
        assert_int_equal(buffer.length, limits[i] < 10000 ? limits[i] : 10000);
        pi_buffer_free(&buffer);
    }
}

static void a_buffer_grows_and_never_shrinks(void **state) {
    (void)state;
    pi_buffer buffer = {0};
    assert_int_equal(pi_buffer_reserve(&buffer, 10), 0);
    memcpy(buffer.data, "0123456789", 10);
    assert_int_equal(pi_buffer_reserve(&buffer, 100000), 0);
    assert_memory_equal(buffer.data, "0123456789", 10);
    assert_int_equal(buffer.capacity, 100000);
    assert_int_equal(pi_buffer_reserve(&buffer, 5), 0);
    assert_int_equal(buffer.capacity, 100000);
    assert_int_equal(pi_buffer_reserve(&buffer, SIZE_MAX / 2), -ENOMEM);
    assert_memory_equal(buffer.data, "0123456789", 10);
    pi_buffer_free(&buffer);
}

static void failures_are_negative_error_numbers(void **state) {
    (void)state;
    char folder[] = "/tmp/procinspect-io-XXXXXX";
    assert_non_null(mkdtemp(folder));
    int directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pi_buffer buffer = {0};
    assert_int_equal(pi_read_file_at(directory, "none", &buffer, 100), -ENOENT);
    assert_int_equal(pi_read_file_at(directory, ".", &buffer, 100), -EISDIR);
    assert_int_equal(pi_read_descriptor(-1, &buffer, 100), -EBADF);
    assert_int_equal(symlinkat("none", directory, "link"), 0);
    assert_int_equal(pi_read_file_at(directory, "link", &buffer, 100), -ELOOP);
    assert_int_equal(unlinkat(directory, "link", 0), 0);
    int file = openat(directory, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(file, "content", 7), 7);
    close(file);
    assert_int_equal(pi_read_file_at(directory, "file", &buffer, 100), 0);
    assert_int_equal(buffer.length, 7);
    assert_memory_equal(buffer.data, "content", 7);
    assert_int_equal(unlinkat(directory, "file", 0), 0);
    pi_buffer_free(&buffer);
    close(directory);
    rmdir(folder);
}

static void closing_keeps_the_error_number(void **state) {
    (void)state;
    errno = EXDEV;
    pi_close(-1);
    pi_close(1000000);
    assert_int_equal(errno, EXDEV);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_to_their_end),
        cmocka_unit_test(longer_files_are_cut_at_the_limit),
        cmocka_unit_test(a_buffer_grows_and_never_shrinks),
        cmocka_unit_test(failures_are_negative_error_numbers),
        cmocka_unit_test(closing_keeps_the_error_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
