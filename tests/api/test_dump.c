/* SPDX-License-Identifier: MIT */
#include <procinspect.h>

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { TARGET_THREADS = 4 };

static pid_t target_pid;

static void *sleep_for_ever(void *argument) {
    while (argument == NULL)
        pause();
    return NULL;
}

/* A process with a few threads; it says through the pipe when they are there. */
static int start_target(void **state) {
    (void)state;
    int ready[2];
    char byte;
    if (pipe(ready) != 0 || (target_pid = fork()) < 0)
        return -1;
    if (target_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* where Yama asks for it */
        for (int i = 1; i < TARGET_THREADS; i++) {
            pthread_t thread;
            pthread_create(&thread, NULL, sleep_for_ever, NULL);
        }
        _exit(write(ready[1], "x", 1) != 1 || sleep_for_ever(NULL) != NULL);
    }
    close(ready[1]);
    ssize_t got = read(ready[0], &byte, 1);
    close(ready[0]);
    return got == 1 ? 0 : -1;
}

static int end_target(void **state) {
    (void)state;
    kill(target_pid, SIGKILL);
    return waitpid(target_pid, NULL, 0) == target_pid ? 0 : -1;
}

static procinspect_context *context_with(uint32_t allow, uint32_t max_dumps, uint64_t max_bytes) {
    procinspect_context_options options;
    procinspect_context *context;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = allow;
    options.max_concurrent_dumps = max_dumps;
    options.max_dump_bytes = max_bytes;
    assert_int_equal(procinspect_context_new(&options, &context, NULL), 0);
    return context;
}

static procinspect_process *open_process(const procinspect_context *context, pid_t pid) {
    procinspect_process *process;
    assert_int_equal(procinspect_process_open(context, pid, &process, NULL), 0);
    return process;
}

static procinspect_dump *capture(const procinspect_process *process) {
    procinspect_dump *dump = NULL;
    procinspect_error error = {0};
    int32_t code = procinspect_dump_capture(process, NULL, &dump, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(code, 0);
    return dump;
}

/* The capture with these options fails so; *error says how. */
static void assert_refused(const procinspect_process *process,
                           const procinspect_dump_options *options, int32_t code,
                           procinspect_error *error) {
    procinspect_dump *dump = (procinspect_dump *)error;
    assert_int_equal(procinspect_dump_capture(process, options, &dump, error), code);
    assert_int_equal(error->code, code);
    assert_ptr_equal(dump, error);
}

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
    assert_int_equal(report->effective_type, 0);
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

static void wrong_arguments(void **state) {
    (void)state;
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 0, 0);
    procinspect_process *process = open_process(context, target_pid);
    procinspect_dump_options options;
    procinspect_error error;
    procinspect_dump_options_init(&options, sizeof options);
    assert_int_equal(options.struct_size, sizeof options);
    assert_refused(NULL, &options, PROCINSPECT_ERROR_INVALID_ARGUMENT, &error);
    assert_int_equal(procinspect_dump_capture(process, &options, NULL, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    options.struct_size = 3;
    assert_refused(process, &options, PROCINSPECT_ERROR_INVALID_ARGUMENT, &error);

    procinspect_dump_options_init(&options, sizeof options);
    options.type = 0x82000002;
    assert_refused(process, &options, PROCINSPECT_ERROR_INVALID_ARGUMENT, &error);
    assert_non_null(strstr(error.message, "0x82000000"));
    options.type = 0x2 | 0x1000;
    assert_refused(process, &options, PROCINSPECT_ERROR_UNSUPPORTED, &error);
    assert_non_null(strstr(error.message, "0x2 (WithFullMemory), 0x1000 (WithThreadInfo)."));
    assert_non_null(strstr(error.message, "0 (Normal)"));
    options.type = 0;
    options.way = 2;
    assert_refused(process, &options, PROCINSPECT_ERROR_UNSUPPORTED, &error);
    assert_non_null(strstr(error.message, "Way 2"));

    procinspect_dump *dump = capture(process);
    procinspect_stream *stream = (procinspect_stream *)&error;
    procinspect_dump_stream_options stream_options;
    size_t length = 77;
    assert_int_equal(procinspect_dump_read_at(dump, 0, NULL, 1, &length, &error), -1);
    assert_int_equal(procinspect_dump_read_at(dump, 0, &error, 1, NULL, &error), -1);
    assert_int_equal(procinspect_dump_read_at(NULL, 0, &error, 1, &length, &error), -1);
    assert_int_equal(length, 77);
    procinspect_dump_stream_options_init(&stream_options, sizeof stream_options);
    stream_options.format = 1;
    assert_int_equal(procinspect_stream_open_dump(dump, &stream_options, &stream, &error),
                     PROCINSPECT_ERROR_UNSUPPORTED);
    assert_ptr_equal(stream, &error);
    procinspect_dump_free(dump);
    procinspect_dump_free(NULL);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

static void only_where_the_policy_allows_dumps(void **state) {
    (void)state;
    procinspect_context *context =
        context_with(PROCINSPECT_ALLOW_ENVIRONMENT | PROCINSPECT_ALLOW_KILL, 0, 0);
    procinspect_process *process = open_process(context, target_pid);
    procinspect_dump_options options;
    procinspect_error error;
    assert_refused(process, NULL, PROCINSPECT_ERROR_POLICY, &error);
    /* What a host forbids it forbids before it says what the library could do. */
    procinspect_dump_options_init(&options, sizeof options);
    options.type = 2;
    assert_refused(process, &options, PROCINSPECT_ERROR_POLICY, &error);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

static void limits_of_options_and_context(void **state) {
    (void)state;
    procinspect_context *free_context = context_with(PROCINSPECT_ALLOW_DUMP, 0, 0);
    procinspect_context *tight_context = context_with(PROCINSPECT_ALLOW_DUMP, 1, 900);
    procinspect_process *free_process = open_process(free_context, target_pid);
    procinspect_process *tight_process = open_process(tight_context, target_pid);
    procinspect_dump_options options;
    procinspect_error error;
    procinspect_dump_options_init(&options, sizeof options);
    options.max_dump_bytes = 1000;
    assert_refused(free_process, &options, PROCINSPECT_ERROR_TOO_LARGE, &error);
    assert_non_null(strstr(error.message, "allows 1000;"));
    assert_refused(tight_process, &options, PROCINSPECT_ERROR_TOO_LARGE, &error);
    assert_non_null(strstr(error.message, "allows 900;"));
    options.max_dump_bytes = 0;
    assert_refused(tight_process, &options, PROCINSPECT_ERROR_TOO_LARGE, &error);
    options.max_dump_bytes = 800;
    assert_refused(tight_process, &options, PROCINSPECT_ERROR_TOO_LARGE, &error);
    assert_non_null(strstr(error.message, "allows 800;"));
    options.max_dump_bytes = UINT64_C(1) << 40;
    procinspect_dump *dump = NULL;
    assert_int_equal(procinspect_dump_capture(free_process, &options, &dump, &error), 0);
    procinspect_dump_free(dump);
    procinspect_process_free(free_process);
    procinspect_process_free(tight_process);
    procinspect_context_free(free_context);
    procinspect_context_free(tight_context);
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

static void write_file(const char *directory, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void a_recorded_tree_can_only_be_looked_at(void **state) {
    (void)state;
    char root[] = "/tmp/procinspect-proc-XXXXXX", directory[64], command[96];
    assert_non_null(mkdtemp(root));
    snprintf(directory, sizeof directory, "%s/4711", root);
    assert_int_equal(mkdir(directory, 0755), 0);
    write_file(root, "stat", "btime 1700000000\n");
    write_file(directory, "stat",
               "4711 (x) S 1 4711 4711 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 900 4096 100 "
               "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
    procinspect_context_options options;
    procinspect_context *context;
    procinspect_error error;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_DUMP;
    options.proc_root = root;
    assert_int_equal(procinspect_context_new(&options, &context, NULL), 0);
    procinspect_process *process = open_process(context, 4711);
    assert_refused(process, NULL, PROCINSPECT_ERROR_UNSUPPORTED, &error);
    assert_non_null(strstr(error.message, "proc_root"));
    procinspect_process_free(process);
    procinspect_context_free(context);
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
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

static void a_process_that_has_ended(void **state) {
    (void)state;
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 1, 0);
    procinspect_error error;
    pid_t child = fork();
    if (child == 0)
        _exit(sleep_for_ever(NULL) != NULL);
    procinspect_process *process = open_process(context, child);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_refused(process, NULL, PROCINSPECT_ERROR_GONE, &error);
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
        cmocka_unit_test(wrong_arguments),
        cmocka_unit_test(only_where_the_policy_allows_dumps),
        cmocka_unit_test(limits_of_options_and_context),
        cmocka_unit_test(no_more_at_once_than_allowed),
        cmocka_unit_test(streams_outlive_dump_process_and_context),
        cmocka_unit_test(a_recorded_tree_can_only_be_looked_at),
        cmocka_unit_test(a_cancellation_gives_the_place_back),
        cmocka_unit_test(a_process_that_has_ended),
        cmocka_unit_test(no_descriptor_stays_open),
    };
    return cmocka_run_group_tests(tests, start_target, end_target);
}
