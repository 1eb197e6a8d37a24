/* SPDX-License-Identifier: MIT */
#include <procinspect/stream.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/stream.h"
#include "base/error.h"

/* The byte of the test's streams at this position. */
static unsigned char expected_byte(uint64_t position) {
    return (unsigned char)((position * 0x9e3779b97f4a7c15u) >> 56);
}

static procinspect_stream *stream_of(size_t length) {
    unsigned char *bytes = malloc(length);
    procinspect_stream *stream = NULL;
    for (size_t i = 0; i < length; i++)
        bytes[i] = expected_byte(i);
    assert_int_equal(procinspect_stream_open_bytes(bytes, length, &stream, NULL), 0);
    memset(bytes, 0, length); /* the stream has its own copy */
    free(bytes);
    return stream;
}

/* A source that gives `left` bytes, three at a time, and fails once at `fails_at`. */
typedef struct odd_source {
    pi_stream_source base;
    uint64_t position;
    uint64_t left;
    uint64_t fails_at;
    int *releases;
} odd_source;

static int32_t read_odd(pi_stream_source *base, void *buffer, size_t capacity, size_t *length,
                        procinspect_error *error) {
    odd_source *source = (odd_source *)base;
    if (source->position >= source->fails_at) {
        source->fails_at = UINT64_MAX;
        return pi_error_set(error, PROCINSPECT_ERROR_IO, 5, "The source broke.");
    }
    size_t count = capacity < 3 ? capacity : 3;
    count = count < source->left ? count : (size_t)source->left;
    for (size_t i = 0; i < count; i++)
        ((unsigned char *)buffer)[i] = expected_byte(source->position + i);
    source->position += count;
    source->left -= count;
    *length = count;
    return 0;
}

static void release_odd(pi_stream_source *base) {
    odd_source *source = (odd_source *)base;
    ++*source->releases;
    free(source);
}

static procinspect_stream *odd_stream(uint64_t length, uint64_t fails_at, int *releases,
                                      procinspect_cancellation *cancellation) {
    odd_source *source = malloc(sizeof *source);
    procinspect_stream *stream = NULL;
    *source =
        (odd_source){{.read = read_odd, .release = release_odd}, 0, length, fails_at, releases};
    assert_int_equal(
        pi_stream_new(&source->base, PI_STREAM_SIZE_UNKNOWN, cancellation, &stream, NULL), 0);
    return stream;
}

/* A sink that checks what it is given, and stops after `parts_left` parts. */
typedef struct checking_sink {
    uint64_t position;
    size_t largest_part;
    int parts_left;
} checking_sink;

static int32_t check_part(void *user, const void *bytes, size_t length) {
    checking_sink *sink = user;
    for (size_t i = 0; i < length; i++)
        assert_int_equal(((const unsigned char *)bytes)[i], expected_byte(sink->position + i));
    sink->position += length;
    sink->largest_part = length > sink->largest_part ? length : sink->largest_part;
    return --sink->parts_left == 0 ? 17 : 0;
}

static void pulled_in_parts_of_any_size(void **state) {
    (void)state;
    for (size_t capacity = 1; capacity < 40; capacity++) {
        procinspect_stream *stream = stream_of(31);
        unsigned char buffer[40];
        size_t length = 1;
        uint64_t position = 0;
        assert_int_equal(procinspect_stream_size_bytes(stream), 31);
        while (length != 0) {
            uint64_t done, total;
            assert_int_equal(procinspect_stream_position_bytes(stream), position);
            procinspect_stream_progress(stream, &done, &total);
            assert_int_equal(done, position);
            assert_int_equal(total, 31);
            assert_int_equal(procinspect_stream_read(stream, buffer, capacity, &length, NULL), 0);
            assert_true(length <= capacity);
            for (size_t i = 0; i < length; i++)
                assert_int_equal(buffer[i], expected_byte(position + i));
            position += length;
        }
        assert_int_equal(position, 31);
        assert_int_equal(procinspect_stream_read(stream, buffer, capacity, &length, NULL), 0);
        assert_int_equal(length, 0);
        procinspect_stream_free(stream);
    }
}

static void an_empty_stream_is_at_its_end(void **state) {
    (void)state;
    procinspect_stream *stream;
    char byte;
    size_t length = 5;
    assert_int_equal(procinspect_stream_open_bytes(NULL, 0, &stream, NULL), 0);
    assert_int_equal(procinspect_stream_size_bytes(stream), 0);
    assert_int_equal(procinspect_stream_read(stream, &byte, 1, &length, NULL), 0);
    assert_int_equal(length, 0);
    checking_sink sink = {0};
    assert_int_equal(procinspect_stream_push(stream, check_part, &sink, NULL), 0);
    assert_int_equal(sink.parts_left, 0); /* never called */
    procinspect_stream_free(stream);
}

static void wrong_arguments_do_no_harm(void **state) {
    (void)state;
    procinspect_stream *stream = NULL, *good = stream_of(4);
    procinspect_error error;
    char buffer[8];
    size_t length = 77;
    assert_int_equal(procinspect_stream_open_bytes(NULL, 1, &stream, &error), -1);
    assert_int_equal(error.code, PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_null(stream);
    assert_int_equal(procinspect_stream_open_bytes("x", 1, NULL, &error), -1);
    assert_int_equal(procinspect_stream_open_bytes("x", SIZE_MAX, &stream, &error),
                     PROCINSPECT_ERROR_NO_MEMORY);
    assert_int_equal(procinspect_stream_open_dump(NULL, NULL, &stream, &error), -1);
    assert_int_equal(procinspect_stream_read(good, buffer, 0, &length, &error), -1);
    assert_int_equal(procinspect_stream_read(good, NULL, 1, &length, &error), -1);
    assert_int_equal(procinspect_stream_read(good, buffer, 1, NULL, &error), -1);
    assert_int_equal(procinspect_stream_read(NULL, buffer, 1, &length, &error), -1);
    assert_int_equal(procinspect_stream_push(good, NULL, NULL, &error), -1);
    assert_int_equal(procinspect_stream_push(NULL, check_part, NULL, &error), -1);
    assert_int_equal(length, 77);
    assert_int_equal(procinspect_stream_read(good, buffer, 8, &length, &error), 0);
    assert_int_equal(length, 4);
    procinspect_stream_free(good);
    procinspect_stream_free(NULL);
}

static void pushed_in_parts_of_at_most_256_kib(void **state) {
    (void)state;
    procinspect_stream *stream = stream_of(1000001);
    checking_sink sink = {0};
    assert_int_equal(procinspect_stream_push(stream, check_part, &sink, NULL), 0);
    assert_int_equal(sink.position, 1000001);
    assert_int_equal(sink.largest_part, 256 * 1024);
    assert_int_equal(sink.parts_left, -4);
    assert_int_equal(procinspect_stream_position_bytes(stream), 1000001);
    procinspect_stream_free(stream);
}

static void pull_and_push_go_on_where_the_other_ended(void **state) {
    (void)state;
    procinspect_stream *stream = stream_of(300000);
    unsigned char buffer[1000];
    size_t length;
    checking_sink sink = {.position = 1000};
    assert_int_equal(procinspect_stream_read(stream, buffer, 1000, &length, NULL), 0);
    assert_int_equal(length, 1000);
    assert_int_equal(procinspect_stream_push(stream, check_part, &sink, NULL), 0);
    assert_int_equal(sink.position, 300000);
    assert_int_equal(procinspect_stream_read(stream, buffer, 1000, &length, NULL), 0);
    assert_int_equal(length, 0);
    procinspect_stream_free(stream);
}

static void a_sink_can_stop_it(void **state) {
    (void)state;
    procinspect_stream *stream = stream_of(1000000);
    procinspect_error error = {0};
    checking_sink sink = {.parts_left = 2};
    unsigned char buffer[8];
    size_t length = 77;
    assert_int_equal(procinspect_stream_push(stream, check_part, &sink, &error),
                     PROCINSPECT_ERROR_CANCELLED);
    assert_int_equal(error.code, PROCINSPECT_ERROR_CANCELLED);
    assert_non_null(strstr(error.message, "17"));
    assert_int_equal(sink.position, 2 * 256 * 1024);
    assert_int_equal(procinspect_stream_position_bytes(stream), 2 * 256 * 1024);
    /* Once it has failed it goes on failing. */
    assert_int_equal(procinspect_stream_read(stream, buffer, 8, &length, &error),
                     PROCINSPECT_ERROR_CANCELLED);
    assert_int_equal(length, 77);
    procinspect_stream_free(stream);
}

static void a_source_of_unknown_length(void **state) {
    (void)state;
    int releases = 0;
    procinspect_stream *stream = odd_stream(1000, UINT64_MAX, &releases, NULL);
    checking_sink sink = {0};
    assert_int_equal(procinspect_stream_size_bytes(stream), -1);
    assert_int_equal(procinspect_stream_push(stream, check_part, &sink, NULL), 0);
    assert_int_equal(sink.position, 1000);
    assert_int_equal(releases, 0);
    procinspect_stream_free(stream);
    assert_int_equal(releases, 1);
}

static void after_a_failure_it_stays_failed(void **state) {
    (void)state;
    int releases = 0;
    procinspect_stream *stream = odd_stream(1000, 6, &releases, NULL);
    checking_sink sink = {0};
    assert_int_equal(procinspect_stream_push(stream, check_part, &sink, NULL),
                     PROCINSPECT_ERROR_IO);
    assert_int_equal(sink.position, 6);
    assert_int_equal(procinspect_stream_position_bytes(stream), 6);
    for (int i = 0; i < 3; i++) {
        procinspect_error error = {0};
        char buffer[8];
        size_t length = 77;
        int32_t code = i == 0   ? procinspect_stream_read(stream, buffer, 8, &length, &error)
                       : i == 1 ? procinspect_stream_push(stream, check_part, &sink, &error)
                                : procinspect_stream_write_to_descriptor(stream, 1, &error);
        assert_int_equal(code, PROCINSPECT_ERROR_IO);
        assert_int_equal(error.code, PROCINSPECT_ERROR_IO);
        assert_int_equal(error.os_errno, 5);
        assert_string_equal(error.message, "The source broke.");
        assert_int_equal(length, 77);
    }
    assert_int_equal(sink.position, 6);
    procinspect_stream_free(stream);
    assert_int_equal(releases, 1);
}

static int32_t request_cancellation(void *user, const void *bytes, size_t length) {
    (void)bytes;
    (void)length;
    procinspect_cancellation_request(user);
    return 0;
}

static void a_cancellation_ends_it(void **state) {
    (void)state;
    int releases = 0;
    procinspect_cancellation *cancellation;
    procinspect_error error = {0};
    assert_int_equal(procinspect_cancellation_new(&cancellation, NULL), 0);
    procinspect_stream *stream = odd_stream(1000, UINT64_MAX, &releases, cancellation);
    assert_int_equal(procinspect_stream_push(stream, request_cancellation, cancellation, &error),
                     PROCINSPECT_ERROR_CANCELLED);
    assert_int_equal(procinspect_stream_position_bytes(stream), 3);
    procinspect_cancellation_free(cancellation); /* the stream has a reference of its own */
    char buffer[8];
    size_t length;
    assert_int_equal(procinspect_stream_read(stream, buffer, 8, &length, &error),
                     PROCINSPECT_ERROR_CANCELLED);
    procinspect_stream_free(stream);
    assert_int_equal(releases, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pulled_in_parts_of_any_size),
        cmocka_unit_test(an_empty_stream_is_at_its_end),
        cmocka_unit_test(wrong_arguments_do_no_harm),
        cmocka_unit_test(pushed_in_parts_of_at_most_256_kib),
        cmocka_unit_test(pull_and_push_go_on_where_the_other_ended),
        cmocka_unit_test(a_sink_can_stop_it),
        cmocka_unit_test(a_source_of_unknown_length),
        cmocka_unit_test(after_a_failure_it_stays_failed),
        cmocka_unit_test(a_cancellation_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
