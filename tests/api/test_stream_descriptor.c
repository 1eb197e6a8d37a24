/* SPDX-License-Identifier: MIT */
#include "stream_content.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/stream.h"

static void pause_ms(long milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static double now_s(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* A reader that takes what comes and compares it. */
typedef struct reader {
    int descriptor;
    long pause_ms; /* before each part */
    size_t part_bytes;
    size_t received;
    int wrong;
    pthread_t thread;
} reader;

static void *receive(void *argument) {
    reader *self = argument;
    unsigned char part[65536];
    for (;;) {
        if (self->pause_ms != 0)
            pause_ms(self->pause_ms);
        ssize_t count = read(self->descriptor, part, self->part_bytes);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return NULL;
        if (self->received + (size_t)count > content_length ||
            memcmp(part, content + self->received, (size_t)count) != 0)
            self->wrong = 1;
        self->received += (size_t)count;
    }
}

/* Writes all of the content into ends[1] while a thread reads from ends[0]. */
static void assert_arrives(const int ends[2], long reader_pause_ms, size_t part_bytes,
                           procinspect_cancellation *cancellation) {
    reader other = {.descriptor = ends[0], .pause_ms = reader_pause_ms, .part_bytes = part_bytes};
    procinspect_stream *stream = content_stream(cancellation);
    procinspect_error error = {0};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the writer */
    assert_int_equal(pthread_create(&other.thread, NULL, receive, &other), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    int32_t code = procinspect_stream_write_to_descriptor(stream, ends[1], &error);
    close(ends[1]);
    pthread_join(other.thread, NULL);
    close(ends[0]);
    assert_string_equal(error.message, "");
    assert_int_equal(code, 0);
    assert_int_equal(other.received, content_length);
    assert_int_equal(other.wrong, 0);
    assert_int_equal(procinspect_stream_position_bytes(stream), content_length);
    stream->cancellation = NULL;
    procinspect_stream_free(stream);
}

static procinspect_cancellation *new_cancellation(void) {
    procinspect_cancellation *cancellation;
    assert_int_equal(procinspect_cancellation_new(&cancellation, NULL), 0);
    return cancellation;
}

static void into_a_file(void **state) {
    (void)state;
    char path[] = "/tmp/procinspect-stream-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    unlink(path);
    assert_int_equal(write(file, "head", 4), 4);
    procinspect_stream *stream = content_stream(NULL);
    assert_int_equal(procinspect_stream_write_to_descriptor(stream, file, NULL), 0);
    assert_int_equal(lseek(file, 0, SEEK_CUR), 4 + content_length);
    unsigned char *bytes = malloc(content_length);
    assert_int_equal(pread(file, bytes, content_length, 4), content_length);
    assert_memory_equal(bytes, content, content_length);
    /* All was given: nothing more comes. */
    assert_int_equal(procinspect_stream_write_to_descriptor(stream, file, NULL), 0);
    assert_int_equal(lseek(file, 0, SEEK_CUR), 4 + content_length);
    free(bytes);
    close(file);
    procinspect_stream_free(stream);
}

/* Wherever the position is. */
static void at_the_end_of_a_file_that_is_appended_to(void **state) {
    (void)state;
    FILE *file = tmpfile();
    int descriptor = fileno(file);
    assert_int_equal(write(descriptor, "head", 4), 4);
    assert_int_equal(fcntl(descriptor, F_SETFL, O_APPEND), 0);
    assert_int_equal(lseek(descriptor, 1, SEEK_SET), 1);
    procinspect_stream *stream = content_stream(NULL);
    assert_int_equal(procinspect_stream_write_to_descriptor(stream, descriptor, NULL), 0);
    unsigned char *bytes = malloc(content_length + 5);
    assert_int_equal(pread(descriptor, bytes, content_length + 5, 0), 4 + content_length);
    assert_memory_equal(bytes, "head", 4);
    assert_memory_equal(bytes + 4, content, content_length);
    free(bytes);
    fclose(file);
    procinspect_stream_free(stream);
}

static void over_the_middle_of_a_file(void **state) {
    enum { BEFORE = 50, BEHIND = 70 };
    (void)state;
    FILE *file = tmpfile();
    int descriptor = fileno(file);
    size_t length = BEFORE + content_length + BEHIND;
    unsigned char *bytes = malloc(length), *expected = calloc(1, length);
    assert_int_equal(write(descriptor, expected, length), length);
    assert_int_equal(lseek(descriptor, BEFORE, SEEK_SET), BEFORE);
    procinspect_stream *stream = content_stream(NULL);
    assert_int_equal(procinspect_stream_write_to_descriptor(stream, descriptor, NULL), 0);
    assert_int_equal(lseek(descriptor, 0, SEEK_CUR), BEFORE + content_length);
    assert_int_equal(lseek(descriptor, 0, SEEK_END), length);
    assert_int_equal(pread(descriptor, bytes, length, 0), length);
    memcpy(expected + BEFORE, content, content_length);
    assert_memory_equal(bytes, expected, length);
    free(bytes);
    free(expected);
    fclose(file);
    procinspect_stream_free(stream);
}

static void into_pipes_blocking_or_not(void **state) {
    (void)state;
    procinspect_cancellation *cancellation = new_cancellation();
    for (int i = 0; i < 4; i++) {
        int ends[2];
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        if (i & 1)
            assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
        assert_arrives(ends, 0, 65536, i & 2 ? cancellation : NULL);
    }
    procinspect_cancellation_free(cancellation);
}

static void into_sockets_with_a_slow_reader(void **state) {
    (void)state;
    procinspect_cancellation *cancellation = new_cancellation();
    for (int i = 0; i < 4; i++) {
        int ends[2], small = (int)(content_length / 250);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        if (i & 1)
            assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
        assert_arrives(ends, 1, 65536, i & 2 ? cancellation : NULL);
    }
    procinspect_cancellation_free(cancellation);
}

static void ignore_signal(int number) {
    (void)number;
}

static void interrupted_all_the_time(void **state) {
    (void)state;
    struct sigaction action = {.sa_handler = ignore_signal}, before; /* no SA_RESTART */
    sigaction(SIGALRM, &action, &before);
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    procinspect_cancellation *cancellation = new_cancellation();
    for (int i = 0; i < 2; i++) {
        int ends[2];
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        setitimer(ITIMER_REAL, &often, NULL);
        assert_arrives(ends, 1, 65536, i == 1 ? cancellation : NULL);
        setitimer(ITIMER_REAL, &never, NULL);
    }
    sigaction(SIGALRM, &before, NULL);
    procinspect_cancellation_free(cancellation);
}

static void *request_later(void *argument) {
    pause_ms(150);
    procinspect_cancellation_request(argument);
    return NULL;
}

/* Nobody reads from the other end: only the cancellation can end it. */
static void assert_cancelled_while_blocked(int descriptor) {
    procinspect_cancellation *cancellation = new_cancellation();
    procinspect_stream *stream = content_stream(cancellation);
    procinspect_error error = {0};
    pthread_t thread;
    double began = now_s();
    assert_int_equal(pthread_create(&thread, NULL, request_later, cancellation), 0);
    assert_int_equal(procinspect_stream_write_to_descriptor(stream, descriptor, &error),
                     PROCINSPECT_ERROR_CANCELLED);
    double took_s = now_s() - began;
    pthread_join(thread, NULL);
    assert_true(took_s >= 0.14 && took_s < 2);
    uint64_t position = procinspect_stream_position_bytes(stream);
    assert_true(position > 0 && position < content_length);
    assert_int_equal(procinspect_stream_write_to_descriptor(stream, descriptor, &error),
                     PROCINSPECT_ERROR_CANCELLED);
    assert_int_equal(procinspect_stream_position_bytes(stream), position);
    procinspect_stream_free(stream); /* gives up the reference that it was handed */
}

static void cancelled_while_a_reader_does_not_read(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        int ends[2];
        open_ends(i, ends);
        assert_cancelled_while_blocked(ends[1]);
        close(ends[0]);
        close(ends[1]);
    }
}

/* What was taken by other means before isn't written again. */
static void the_rest_of_a_stream(void **state) {
    enum { FIRST_BYTES = 4099 };
    unsigned char first[FIRST_BYTES];
    size_t length;
    (void)state;
    procinspect_stream *stream = content_stream(NULL);
    FILE *file = tmpfile();
    assert_int_equal(procinspect_stream_read(stream, first, FIRST_BYTES, &length, NULL), 0);
    assert_int_equal(length, FIRST_BYTES);
    assert_memory_equal(first, content, FIRST_BYTES);
    assert_int_equal(procinspect_stream_write_to_descriptor(stream, fileno(file), NULL), 0);
    unsigned char *bytes = malloc(content_length);
    assert_int_equal(pread(fileno(file), bytes, content_length, 0), content_length - FIRST_BYTES);
    assert_memory_equal(bytes, content + FIRST_BYTES, content_length - FIRST_BYTES);
    free(bytes);
    fclose(file);
    procinspect_stream_free(stream);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(into_a_file),
        cmocka_unit_test(at_the_end_of_a_file_that_is_appended_to),
        cmocka_unit_test(over_the_middle_of_a_file),
        cmocka_unit_test(into_pipes_blocking_or_not),
        cmocka_unit_test(into_sockets_with_a_slow_reader),
        cmocka_unit_test(interrupted_all_the_time),
        cmocka_unit_test(cancelled_while_a_reader_does_not_read),
        cmocka_unit_test(the_rest_of_a_stream),
    };
    fill_content();
    int failed = cmocka_run_group_tests_name("by one thread", tests, NULL, NULL);
    content_length = LONG_LENGTH;
    return failed + cmocka_run_group_tests_name("by two threads", tests, NULL, NULL);
}
