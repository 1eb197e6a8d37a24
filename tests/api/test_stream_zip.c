/* SPDX-License-Identifier: MIT */
/* A dump as a zip, through the public calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "dump_target.h"
#include "zip/own_tasks.h"

enum {
    MOST_BYTES = 8 * 1024 * 1024,
    HEADER_BYTES = 30 + sizeof "minidump.dmp" - 1,
    END_BYTES = 22
};

static procinspect_context *context;
static procinspect_dump *dump;

static int take_dump(void **state) {
    if (start_target(state) != 0)
        return -1;
    context = context_with(PROCINSPECT_ALLOW_DUMP, 0, 0);
    procinspect_process *process = open_process(context, target_pid);
    dump = capture(process);
    procinspect_process_free(process);
    return 0;
}

static int give_up_dump(void **state) {
    procinspect_dump_free(dump);
    procinspect_context_free(context);
    return end_target(state);
}

static procinspect_stream *open_zip(uint32_t level, uint32_t workers,
                                    procinspect_cancellation *cancellation) {
    procinspect_dump_stream_options options;
    procinspect_stream *stream = NULL;
    procinspect_dump_stream_options_init(&options, sizeof options);
    options.format = PROCINSPECT_DUMP_FORMAT_ZIP;
    options.level = level;
    options.workers = workers;
    options.flags = PROCINSPECT_ZIP_NO_SUPPORT_FILES;
    options.cancellation = cancellation;
    assert_int_equal(procinspect_stream_open_dump(dump, &options, &stream, NULL), 0);
    assert_int_equal(procinspect_stream_size_bytes(stream), -1);
    return stream;
}

typedef struct collected {
    unsigned char *bytes;
    size_t length;
    size_t stops_at; /* the sink refuses what reaches beyond */
} collected;

static int32_t collect(void *user, const void *bytes, size_t length) {
    collected *all = user;
    if (all->length + length > all->stops_at)
        return 17;
    memcpy(all->bytes + all->length, bytes, length);
    all->length += length;
    return 0;
}

static collected room(void) {
    collected made = {malloc(MOST_BYTES), 0, MOST_BYTES};
    assert_non_null(made.bytes);
    return made;
}

/* Its first entry is the dump. */
static void assert_zip_of_dump(const collected *zip) {
    uint64_t size = procinspect_dump_size_bytes(dump);
    unsigned char *expected = malloc(size), *unpacked = malloc(size + 1);
    size_t length;
    assert_int_equal(procinspect_dump_read_at(dump, 0, expected, size, &length, NULL), 0);
    assert_memory_equal(zip->bytes, "PK\x03\x04", 4);
    assert_memory_equal(zip->bytes + 30, "minidump.dmp", 12);
    z_stream inflating = {.next_in = zip->bytes + HEADER_BYTES,
                          .avail_in = (uInt)(zip->length - HEADER_BYTES),
                          .next_out = unpacked,
                          .avail_out = (uInt)size + 1};
    assert_int_equal(inflateInit2(&inflating, -MAX_WBITS), Z_OK);
    assert_int_equal(inflate(&inflating, Z_FINISH), Z_STREAM_END);
    assert_int_equal(inflating.total_out, size);
    assert_memory_equal(unpacked, expected, size);
    inflateEnd(&inflating);
    assert_memory_equal(zip->bytes + zip->length - END_BYTES, "PK\x05\x06\0\0\0\0", 8);
    free(expected);
    free(unpacked);
}

static void pushed_it_is_the_dump(void **state) {
    (void)state;
    collected zip = room();
    for (uint32_t level = 0; level <= 9; level++) {
        procinspect_stream *stream = open_zip(level, level, NULL);
        zip.length = 0;
        assert_int_equal(procinspect_stream_push(stream, collect, &zip, NULL), 0);
        assert_int_equal(procinspect_stream_position_bytes(stream), zip.length);
        assert_zip_of_dump(&zip);
        procinspect_stream_free(stream);
    }
    free(zip.bytes);
}

static void pulled_it_is_the_same(void **state) {
    (void)state;
    collected zip = room();
    procinspect_stream *stream = open_zip(1, 2, NULL);
    unsigned char part[1000];
    size_t length = 1;
    uint64_t done, total, done_before = 0;
    procinspect_stream_progress(stream, &done, &total);
    assert_int_equal(done, 0);
    while (length != 0) {
        assert_int_equal(procinspect_stream_read(stream, part, sizeof part, &length, NULL), 0);
        assert_int_equal(collect(&zip, part, length), 0);
        procinspect_stream_progress(stream, &done, &total);
        assert_true(done >= done_before && done <= total);
        done_before = done;
        if (zip.length > 5000 && length != 0)
            assert_int_equal(procinspect_stream_push(stream, collect, &zip, NULL), 0);
    }
    assert_zip_of_dump(&zip);
    assert_int_equal(done, total);
    assert_int_equal(total, procinspect_dump_size_bytes(dump));
    procinspect_stream_free(stream);
    free(zip.bytes);
}

static void a_sink_may_fail_anywhere(void **state) {
    (void)state;
    size_t tasks = own_task_count(), descriptors = own_descriptor_count();
    collected zip = room();
    procinspect_stream *stream = open_zip(1, 2, NULL);
    assert_int_equal(procinspect_stream_push(stream, collect, &zip, NULL), 0);
    procinspect_stream_free(stream);
    const size_t central_directory = zip.length - END_BYTES - (46 + 12) - (46 + 13);
    assert_memory_equal(zip.bytes + central_directory, "PK\x01\x02", 4);
    const size_t stops[] = {
        0, HEADER_BYTES - 1, 1000, central_directory - 10, central_directory + 5, zip.length - 1};
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
        procinspect_error error = {0};
        unsigned char byte;
        size_t length = 1;
        stream = open_zip(1, 2, NULL);
        zip.length = 0;
        zip.stops_at = stops[i];
        while (zip.length < zip.stops_at && /* byte by byte, so that it ends just there */
               procinspect_stream_read(stream, &byte, 1, &length, &error) == 0 && length == 1)
            zip.length++;
        assert_int_equal(procinspect_stream_push(stream, collect, &zip, &error),
                         PROCINSPECT_ERROR_CANCELLED);
        assert_non_null(strstr(error.message, "17"));
        procinspect_stream_free(stream);
        assert_own_tasks(tasks);
        assert_int_equal(own_descriptor_count(), descriptors);
    }
    free(zip.bytes);
}

static void a_cancellation_ends_it(void **state) {
    (void)state;
    size_t tasks = own_task_count();
    procinspect_cancellation *cancellation;
    procinspect_error error = {0};
    unsigned char part[4096];
    size_t length;
    assert_int_equal(procinspect_cancellation_new(&cancellation, NULL), 0);
    procinspect_stream *stream = open_zip(1, 2, cancellation);
    assert_int_equal(procinspect_stream_read(stream, part, sizeof part, &length, NULL), 0);
    procinspect_cancellation_request(cancellation);
    assert_int_equal(procinspect_stream_read(stream, part, sizeof part, &length, &error),
                     PROCINSPECT_ERROR_CANCELLED);
    procinspect_stream_free(stream);
    procinspect_cancellation_free(cancellation);
    assert_own_tasks(tasks);
}

static void options_are_checked(void **state) {
    (void)state;
    static const struct {
        uint32_t format, level, workers;
        int32_t code;
    } cases[] = {{1, 0, 0, 0},
                 {1, 9, 32, 0},
                 {1, 10, 0, PROCINSPECT_ERROR_INVALID_ARGUMENT},
                 {1, UINT32_MAX, 0, PROCINSPECT_ERROR_INVALID_ARGUMENT},
                 {1, 1, 33, PROCINSPECT_ERROR_INVALID_ARGUMENT},
                 {0, 1, 0, 0},
                 {2, 1, 0, PROCINSPECT_ERROR_UNSUPPORTED},
                 {UINT32_MAX, 1, 0, PROCINSPECT_ERROR_UNSUPPORTED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        procinspect_dump_stream_options options;
        procinspect_stream *stream = (procinspect_stream *)&options;
        procinspect_error error;
        procinspect_dump_stream_options_init(&options, sizeof options);
        assert_int_equal(options.level, PROCINSPECT_ZIP_LEVEL_DEFAULT);
        options.format = cases[i].format;
        options.level = cases[i].level;
        options.workers = cases[i].workers;
        assert_int_equal(procinspect_dump_stream_options_check(&options, &error), cases[i].code);
        assert_int_equal(procinspect_stream_open_dump(dump, &options, &stream, &error),
                         cases[i].code);
        if (cases[i].code == 0)
            procinspect_stream_free(stream);
        else
            assert_ptr_equal(stream, &options);
    }
    assert_int_equal(procinspect_dump_stream_options_check(NULL, NULL), 0);
    for (uint32_t format = 0; format < 2; format++) {
        procinspect_dump_stream_options options;
        procinspect_dump_stream_options_init(&options, sizeof options);
        options.format = format;
        options.flags = PROCINSPECT_ZIP_NO_SUPPORT_FILES | PROCINSPECT_ZIP_FROM_TARGET;
        options.max_support_bytes = UINT64_MAX;
        assert_int_equal(procinspect_dump_stream_options_check(&options, NULL), 0);
        options.flags = 4;
        assert_int_equal(procinspect_dump_stream_options_check(&options, NULL),
                         PROCINSPECT_ERROR_INVALID_ARGUMENT);
        options.flags = 0;
        options.reserved = 1;
        assert_int_equal(procinspect_dump_stream_options_check(&options, NULL),
                         PROCINSPECT_ERROR_INVALID_ARGUMENT);
    }
}

/* Whoever was compiled before there were zips has no level, and gets the default. */
static void a_shorter_struct_has_the_default_level(void **state) {
    (void)state;
    struct {
        uint32_t struct_size, format;
        procinspect_cancellation *cancellation;
        uint32_t behind; /* not part of it */
    } older = {0, PROCINSPECT_DUMP_FORMAT_ZIP, NULL, 77};
    const size_t older_size = offsetof(procinspect_dump_stream_options, level);
    procinspect_stream *stream;
    collected zip = room();
    procinspect_dump_stream_options_init((procinspect_dump_stream_options *)&older, older_size);
    assert_int_equal(older.struct_size, older_size);
    assert_int_equal(older.behind, 77);
    older.format = PROCINSPECT_DUMP_FORMAT_ZIP;
    assert_int_equal(procinspect_stream_open_dump(dump, (procinspect_dump_stream_options *)&older,
                                                  &stream, NULL),
                     0);
    assert_int_equal(procinspect_stream_push(stream, collect, &zip, NULL), 0);
    assert_zip_of_dump(&zip);
    assert_true(zip.length < procinspect_dump_size_bytes(dump) / 2); /* compressed, not stored */
    procinspect_stream_free(stream);
    free(zip.bytes);
}

static void it_keeps_the_dump(void **state) {
    (void)state;
    procinspect_process *process = open_process(context, target_pid);
    procinspect_dump *another = capture(process);
    procinspect_dump_stream_options options;
    procinspect_stream *stream;
    collected zip = room();
    procinspect_dump_stream_options_init(&options, sizeof options);
    options.format = PROCINSPECT_DUMP_FORMAT_ZIP;
    assert_int_equal(procinspect_stream_open_dump(another, &options, &stream, NULL), 0);
    procinspect_dump_free(another);
    procinspect_process_free(process);
    assert_int_equal(procinspect_stream_push(stream, collect, &zip, NULL), 0);
    procinspect_stream_free(stream);
    free(zip.bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushed_it_is_the_dump),
        cmocka_unit_test(pulled_it_is_the_same),
        cmocka_unit_test(a_sink_may_fail_anywhere),
        cmocka_unit_test(a_cancellation_ends_it),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(a_shorter_struct_has_the_default_level),
        cmocka_unit_test(it_keeps_the_dump),
    };
    return cmocka_run_group_tests(tests, take_dump, give_up_dump);
}
