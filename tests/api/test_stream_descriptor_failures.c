/* SPDX-License-Identifier: MIT */
/* Streams into descriptors that fail: by an errno that says why, for good, and without a signal. */
#include "stream_content.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/stream.h"
#include "base/error.h"

static void assert_write_fails(int descriptor, int os_errno) {
    procinspect_stream *stream = content_stream(NULL);
    procinspect_error error = {0};
    assert_int_equal(procinspect_stream_write_to_descriptor(stream, descriptor, &error),
                     PROCINSPECT_ERROR_IO);
    assert_int_equal(error.code, PROCINSPECT_ERROR_IO);
    assert_int_equal(error.os_errno, os_errno);
    char buffer[8];
    size_t length = 77;
    assert_int_equal(procinspect_stream_read(stream, buffer, 8, &length, NULL),
                     PROCINSPECT_ERROR_IO);
    assert_int_equal(length, 77);
    procinspect_stream_free(stream);
}

static volatile sig_atomic_t signals_seen;

static void count_signal(int number) {
    (void)number;
    signals_seen++;
}

static void a_closed_reader_is_epipe_and_no_signal(void **state) {
    (void)state;
    struct sigaction counting = {.sa_handler = count_signal}, before, after;
    sigset_t mask_before, mask_after, pending;
    sigaction(SIGPIPE, &counting, &before);
    pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
    signals_seen = 0;
    for (int i = 0; i < 4; i++) {
        int ends[2];
        open_ends(i, ends);
        close(ends[0]);
        assert_write_fails(ends[1], EPIPE);
        close(ends[1]);
    }
    assert_int_equal(signals_seen, 0);
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGPIPE));
    pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
    assert_memory_equal(&mask_before, &mask_after, sizeof(unsigned long));
    sigaction(SIGPIPE, &before, &after);
    assert_ptr_equal(after.sa_handler, count_signal);
}

static void a_pending_sigpipe_of_the_host_stays_pending(void **state) {
    (void)state;
    struct sigaction counting = {.sa_handler = count_signal}, before;
    sigset_t only, mask_before, pending;
    int ends[2];
    sigaction(SIGPIPE, &counting, &before);
    sigemptyset(&only);
    sigaddset(&only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &only, &mask_before);
    signals_seen = 0;
    raise(SIGPIPE);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    assert_write_fails(ends[1], EPIPE);
    close(ends[1]);
    sigpending(&pending);
    assert_true(sigismember(&pending, SIGPIPE));
    assert_int_equal(signals_seen, 0);
    pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
    assert_int_equal(signals_seen, 1);
    sigaction(SIGPIPE, &before, NULL);
}

/* In a process with the default dispositions, which SIGPIPE and SIGXFSZ would end. Returns its
 * status. */
static int status_of_child(int descriptor, int os_errno, rlim_t largest_file) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        procinspect_stream *stream;
        procinspect_error error;
        struct rlimit limit = {largest_file, largest_file};
        signal(SIGPIPE, SIG_DFL);
        signal(SIGXFSZ, SIG_DFL);
        setrlimit(RLIMIT_FSIZE, &limit);
        if (procinspect_stream_open_bytes(content, content_length, &stream, NULL) != 0 ||
            procinspect_stream_write_to_descriptor(stream, descriptor, &error) !=
                PROCINSPECT_ERROR_IO)
            _exit(2);
        _exit(error.os_errno == os_errno ? 0 : 3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_host_with_default_signals_survives(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    assert_int_equal(status_of_child(ends[1], EPIPE, RLIM_INFINITY), 0);
    close(ends[1]);
    char path[] = "/tmp/procinspect-stream-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    unlink(path);
    assert_int_equal(status_of_child(file, EFBIG, 5000), 0);
    close(file);
}

/* Gives so many bytes of the content and fails then. */
typedef struct failing_source {
    pi_stream_source base;
    size_t given;
    size_t fails_at;
} failing_source;

static int32_t read_until_failure(pi_stream_source *base, void *buffer, size_t capacity,
                                  size_t *length, procinspect_error *error) {
    failing_source *source = (failing_source *)base;
    size_t left = source->fails_at - source->given;
    if (left == 0)
        return pi_error_set(error, PROCINSPECT_ERROR_IO, ESTALE, "The source has failed.");
    *length = left < capacity ? left : capacity;
    memcpy(buffer, content + source->given, *length);
    source->given += *length;
    return 0;
}

static int32_t read_at_until_failure(const pi_stream_source *base, uint64_t offset_bytes,
                                     void *buffer, size_t capacity, size_t *length,
                                     procinspect_error *error) {
    const failing_source *source = (const failing_source *)base;
    size_t left = content_length - (size_t)offset_bytes, wanted = left < capacity ? left : capacity;
    if (offset_bytes + wanted > source->fails_at)
        return pi_error_set(error, PROCINSPECT_ERROR_IO, ESTALE, "The source has failed.");
    memcpy(buffer, content + offset_bytes, wanted);
    *length = wanted;
    return 0;
}

static void release_nothing(pi_stream_source *base) {
    (void)base;
}

/* What was read before is written before the failure is told. */
static void assert_fails_midway(failing_source *source, size_t expected_length) {
    procinspect_stream *stream;
    procinspect_error error = {0};
    FILE *file = tmpfile();
    assert_int_equal(pi_stream_new(&source->base, (int64_t)content_length, NULL, &stream, NULL), 0);
    assert_int_equal(procinspect_stream_write_to_descriptor(stream, fileno(file), &error),
                     PROCINSPECT_ERROR_IO);
    assert_int_equal(error.os_errno, ESTALE);
    assert_int_equal(procinspect_stream_position_bytes(stream), expected_length);
    unsigned char *bytes = malloc(content_length);
    assert_int_equal(pread(fileno(file), bytes, content_length, 0), expected_length);
    assert_memory_equal(bytes, content, expected_length);
    /* For good. */
    assert_int_equal(procinspect_stream_write_to_descriptor(stream, fileno(file), &error),
                     PROCINSPECT_ERROR_IO);
    assert_int_equal(lseek(fileno(file), 0, SEEK_CUR), expected_length);
    free(bytes);
    fclose(file);
    procinspect_stream_free(stream);
}

static void a_source_that_fails_midway(void **state) {
    (void)state;
    failing_source one_behind_the_other = {
        .base = {.read = read_until_failure, .release = release_nothing},
        .fails_at = content_length - 1};
    assert_fails_midway(&one_behind_the_other, content_length - 1);
    size_t part_bytes =
        content_length == LONG_LENGTH ? 2 * PI_STREAM_PART_BYTES : PI_STREAM_PART_BYTES;
    for (size_t part = 0; part < content_length / part_bytes; part++) {
        failing_source in_parts = {
            .base = {.read_at = read_at_until_failure, .release = release_nothing},
            .fails_at = (part + 1) * part_bytes - 1};
        assert_fails_midway(&in_parts, part * part_bytes);
    }
}

enum { PART_OF_TWO = 2 * PI_STREAM_PART_BYTES };

/* What the file is, and where in the dump its source fails. */
typedef struct overtaking {
    off_t length_before;
    off_t position;
    off_t fails_at;
    bool grows_meanwhile; /* somebody else writes a byte far behind */
    off_t expected_length;
} overtaking;

/* Fails at one part of two threads', once the next one is in the file. */
typedef struct overtaken_source {
    pi_stream_source base;
    int file;
    const overtaking *about;
} overtaken_source;

static int32_t read_overtaken(const pi_stream_source *base, uint64_t offset_bytes, void *buffer,
                              size_t capacity, size_t *length, procinspect_error *error) {
    const overtaken_source *source = (const overtaken_source *)base;
    size_t left = content_length - (size_t)offset_bytes;
    *length = left < capacity ? left : capacity;
    memcpy(buffer, content + offset_bytes, *length);
    if (offset_bytes != (uint64_t)source->about->fails_at)
        return 0;
    unsigned char next = 0;
    off_t in_file = source->about->position + (off_t)offset_bytes;
    for (int i = 0; i < 10000 && next != content[offset_bytes + PART_OF_TWO]; i++) {
        usleep(500);
        if (pread(source->file, &next, 1, in_file + PART_OF_TWO) != 1)
            next = 0;
    }
    bool is_overtaken = next == content[offset_bytes + PART_OF_TWO];
    if (source->about->grows_meanwhile)
        is_overtaken &= pwrite(source->file, "x", 1, 2 * LONG_LENGTH - 1) == 1;
    return pi_error_set(error, PROCINSPECT_ERROR_IO, is_overtaken ? ESTALE : ETIME,
                        "The source has failed.");
}

static void assert_is_cut(const overtaking *about) {
    FILE *file = tmpfile();
    overtaken_source source = {.base = {.read_at = read_overtaken, .release = release_nothing},
                               .file = fileno(file),
                               .about = about};
    procinspect_stream *stream;
    procinspect_error error = {0};
    assert_int_not_equal(content[about->fails_at + PART_OF_TWO], 0);
    assert_int_equal(ftruncate(source.file, about->length_before), 0);
    assert_int_equal(lseek(source.file, about->position, SEEK_SET), about->position);
    assert_int_equal(pi_stream_new(&source.base, (int64_t)content_length, NULL, &stream, NULL), 0);
    assert_int_equal(procinspect_stream_write_to_descriptor(stream, source.file, &error),
                     PROCINSPECT_ERROR_IO);
    assert_int_equal(error.os_errno, ESTALE);
    assert_int_equal(procinspect_stream_position_bytes(stream), about->fails_at);
    assert_int_equal(lseek(source.file, 0, SEEK_CUR), about->position + about->fails_at);
    assert_int_equal(lseek(source.file, 0, SEEK_END), about->expected_length);
    fclose(file);
    procinspect_stream_free(stream);
}

/* The file is cut off behind the first part that is missing, or where it ended before. */
static void a_part_that_fails_behind_the_next(void **state) {
    (void)state;
    enum { FAILS_AT = 3 * PART_OF_TWO, POSITION = 5 };
    static const overtaking cases[] = {
        {.fails_at = FAILS_AT, .expected_length = FAILS_AT},
        {.fails_at = FAILS_AT, .position = POSITION, .expected_length = FAILS_AT + POSITION},
        {.length_before = FAILS_AT + 7, .fails_at = FAILS_AT, .expected_length = FAILS_AT + 7},
        {.length_before = LONG_LENGTH + 1,
         .fails_at = FAILS_AT,
         .expected_length = LONG_LENGTH + 1},
        {.position = POSITION, .expected_length = 0},
        {.fails_at = FAILS_AT, .grows_meanwhile = true, .expected_length = 2 * LONG_LENGTH},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_is_cut(&cases[i]);
}

static void a_full_disk_is_enospc(void **state) {
    (void)state;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    assert_write_fails(full, ENOSPC);
    close(full);
}

static void descriptors_that_cannot_be_written(void **state) {
    (void)state;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(null >= 0);
    assert_write_fails(null, EBADF);
    close(null);
    assert_write_fails(1000000, EBADF);

    procinspect_stream *stream = content_stream(NULL);
    procinspect_error error = {0};
    char buffer[8];
    size_t length;
    assert_int_equal(procinspect_stream_write_to_descriptor(stream, -1, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(procinspect_stream_write_to_descriptor(NULL, 1, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    /* A wrong argument is no failure of the stream. */
    assert_int_equal(procinspect_stream_read(stream, buffer, 8, &length, NULL), 0);
    assert_int_equal(length, 8);
    procinspect_stream_free(stream);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_reader_is_epipe_and_no_signal),
        cmocka_unit_test(a_pending_sigpipe_of_the_host_stays_pending),
        cmocka_unit_test(a_host_with_default_signals_survives),
        cmocka_unit_test(a_source_that_fails_midway),
        cmocka_unit_test(a_full_disk_is_enospc),
        cmocka_unit_test(descriptors_that_cannot_be_written),
    };
    const struct CMUnitTest of_two_threads[] = {
        cmocka_unit_test(a_part_that_fails_behind_the_next),
    };
    fill_content();
    int failed = cmocka_run_group_tests_name("by one thread", tests, NULL, NULL);
    content_length = LONG_LENGTH;
    failed += cmocka_run_group_tests_name("by two threads", tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("one before the other", of_two_threads, NULL, NULL);
}
