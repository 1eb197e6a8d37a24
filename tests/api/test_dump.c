/* SPDX-License-Identifier: MIT */
#include "dump_target.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "folders.h"

static unsigned char *read_whole(const procinspect_dump *dump, size_t *length) {
    *length = (size_t)procinspect_dump_size_bytes(dump);
    unsigned char *bytes = malloc(*length + 1);
    size_t got;
    assert_int_equal(procinspect_dump_read_at(dump, 0, bytes, *length + 1, &got, NULL), 0);
    assert_int_equal(got, *length);
    return bytes;
}

static size_t descriptor_count(void) {
    DIR *directory = opendir("/proc/self/fd");
    size_t count = 0;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static uint32_t u32_of(const unsigned char *bytes) {
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void the_report_is_in_the_dump_and_true(void **state) {
    (void)state;
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 0, 0);
    procinspect_process *process = open_process(context, target_pid);
    procinspect_dump *dump = capture(process);
    const procinspect_dump_report *report = procinspect_dump_report_get(dump);
    size_t length;
    unsigned char *bytes = read_whole(dump, &length);
    assert_int_equal(report->pid, target_pid);
    assert_int_equal(report->requested_type, 0);
    assert_int_equal(report->effective_type, 0x20000);
    assert_int_equal(report->way, PROCINSPECT_DUMP_WAY_HOLD);
    assert_int_equal(report->size_bytes, length);
    assert_int_equal(report->thread_count, TARGET_THREADS);
    assert_true(report->module_count >= 3);
    assert_true(report->memory_bytes > 1000 && report->memory_bytes < length);
    assert_true(report->pause_ns > 0 && report->total_ns >= report->pause_ns);

    const procinspect_json *json;
    assert_int_equal(procinspect_json_dump_report(report, NULL, &json, NULL), 0);
    size_t found = 0;
    for (uint32_t i = 0; i < u32_of(bytes + 8); i++) {
        const unsigned char *entry = bytes + 32 + 12 * i;
        if (u32_of(entry) != 0x50490001)
            continue;
        found++;
        assert_int_equal(u32_of(entry + 4), json->length_bytes);
        assert_memory_equal(bytes + u32_of(entry + 8), json->text, json->length_bytes);
    }
    assert_int_equal(found, 1);
    procinspect_json_free(json);
    free(bytes);
    procinspect_dump_free(dump);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

static void the_strictest_readers_rules_hold(void **state) {
    (void)state;
    char path[] = "/tmp/procinspect-dump-XXXXXX", command[4096];
    int file = mkstemp(path);
    assert_true(file >= 0);
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 0, 0);
    for (int own = 0; own < 2; own++) {
        procinspect_process *process = open_process(context, own ? 0 : target_pid);
        procinspect_dump *dump = capture(process);
        procinspect_stream *stream;
        assert_int_equal(ftruncate(file, 0), 0);
        assert_int_equal(lseek(file, 0, SEEK_SET), 0);
        assert_int_equal(procinspect_stream_open_dump(dump, NULL, &stream, NULL), 0);
        assert_int_equal(procinspect_stream_write_to_descriptor(stream, file, NULL), 0);
        snprintf(command, sizeof command, "python3 %s/readers/check_minidump.py %s >&2",
                 TESTS_SOURCE_DIR, path);
        assert_int_equal(system(command), 0);
        procinspect_stream_free(stream);
        procinspect_dump_free(dump);
        procinspect_process_free(process);
    }
    procinspect_context_free(context);
    close(file);
    unlink(path);
}

static void no_more_at_once_than_allowed(void **state) {
    (void)state;
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 2, 0);
    procinspect_process *process = open_process(context, target_pid);
    procinspect_error error;
    procinspect_dump_options small;
    procinspect_dump_options_init(&small, sizeof small);
    small.max_dump_bytes = 10;
    for (int i = 0; i < 3; i++) /* failures give their place back */
        assert_refused(process, &small, PROCINSPECT_ERROR_TOO_LARGE, &error);
    procinspect_dump *one = capture(process), *two = capture(process);
    assert_refused(process, NULL, PROCINSPECT_ERROR_BUSY, &error);
    assert_non_null(strstr(error.message, "max_concurrent_dumps"));

    /* A dump that is still being sent has its place. */
    procinspect_stream *stream;
    assert_int_equal(procinspect_stream_open_dump(one, NULL, &stream, NULL), 0);
    procinspect_dump_free(one);
    assert_refused(process, NULL, PROCINSPECT_ERROR_BUSY, &error);
    procinspect_stream_free(stream);
    one = capture(process);
    procinspect_dump_free(one);
    procinspect_dump_free(two);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

typedef struct stream_reader {
    procinspect_stream *stream;
    const unsigned char *expected;
    size_t position;
    int wrong;
} stream_reader;

static int32_t compare_part(void *user, const void *bytes, size_t length) {
    stream_reader *self = user;
    self->wrong |= memcmp(self->expected + self->position, bytes, length) != 0;
    self->position += length;
    return self->wrong;
}

static void *push_stream(void *argument) {
    stream_reader *self = argument;
    self->wrong |= procinspect_stream_push(self->stream, compare_part, self, NULL) != 0;
    procinspect_stream_free(self->stream);
    return NULL;
}

static void streams_outlive_dump_process_and_context(void **state) {
    (void)state;
    enum { STREAMS = 4 };
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 0, 0);
    procinspect_process *process = open_process(context, target_pid);
    procinspect_dump *dump = capture(process);
    size_t length;
    unsigned char *bytes = read_whole(dump, &length);
    stream_reader readers[STREAMS];
    pthread_t threads[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        readers[i] = (stream_reader){.expected = bytes};
        assert_int_equal(procinspect_stream_open_dump(dump, NULL, &readers[i].stream, NULL), 0);
        assert_int_equal(procinspect_stream_size_bytes(readers[i].stream), length);
    }
    procinspect_dump_free(dump);
    procinspect_process_free(process);
    procinspect_context_free(context);
    for (int i = 0; i < STREAMS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push_stream, &readers[i]), 0);
    for (int i = 0; i < STREAMS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].wrong, 0);
        assert_int_equal(readers[i].position, length);
    }
    free(bytes);
}

static void a_cancellation_gives_the_place_back(void **state) {
    (void)state;
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 1, 0);
    procinspect_process *process = open_process(context, target_pid);
    procinspect_dump_options options;
    procinspect_error error;
    procinspect_dump_options_init(&options, sizeof options);
    assert_int_equal(procinspect_cancellation_new(&options.cancellation, NULL), 0);
    procinspect_cancellation_request(options.cancellation);
    assert_refused(process, &options, PROCINSPECT_ERROR_CANCELLED, &error);
    procinspect_cancellation_free(options.cancellation);
    procinspect_dump_free(capture(process));
    procinspect_process_free(process);
    procinspect_context_free(context);
}

static void no_descriptor_stays_open(void **state) {
    (void)state;
    size_t before = descriptor_count();
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 1, 0);
    procinspect_process *process = open_process(context, target_pid);
    for (int i = 0; i < 5; i++)
        procinspect_dump_free(capture(process));
    procinspect_process_free(process);
    procinspect_context_free(context);
    assert_int_equal(descriptor_count(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_report_is_in_the_dump_and_true),
        cmocka_unit_test(the_strictest_readers_rules_hold),
        cmocka_unit_test(no_more_at_once_than_allowed),
        cmocka_unit_test(streams_outlive_dump_process_and_context),
        cmocka_unit_test(a_cancellation_gives_the_place_back),
        cmocka_unit_test(no_descriptor_stays_open),
    };
    return cmocka_run_group_tests(tests, start_target, end_target);
}
