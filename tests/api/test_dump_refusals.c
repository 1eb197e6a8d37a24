/* SPDX-License-Identifier: MIT */
#include "dump_target.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

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
    options.type = 0x2 | 0x4 | 0x40 | 0x2000;
    assert_refused(process, &options, PROCINSPECT_ERROR_UNSUPPORTED, &error);
    assert_non_null(strstr(error.message, "cannot do: 0x40 (WithIndirectlyReferencedMemory), "
                                          "0x2000 (WithCodeSegs)."));
    assert_non_null(strstr(error.message, "supports: 0 (Normal), 0x1 (WithDataSegs), "
                                          "0x2 (WithFullMemory), 0x4 (WithHandleData), "));
    options.type = 0;
    options.way = 5;
    assert_refused(process, &options, PROCINSPECT_ERROR_UNSUPPORTED, &error);
    assert_non_null(strstr(error.message, "Way 5"));

    procinspect_dump *dump = capture(process);
    procinspect_stream *stream = (procinspect_stream *)&error;
    procinspect_dump_stream_options stream_options;
    size_t length = 77;
    assert_int_equal(procinspect_dump_read_at(dump, 0, NULL, 1, &length, &error), -1);
    assert_int_equal(procinspect_dump_read_at(dump, 0, &error, 1, NULL, &error), -1);
    assert_int_equal(procinspect_dump_read_at(NULL, 0, &error, 1, &length, &error), -1);
    assert_int_equal(length, 77);
    procinspect_dump_stream_options_init(&stream_options, sizeof stream_options);
    stream_options.format = 2;
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

static size_t file_length(const char *path) {
    char bytes[4096];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = 0;
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, file)) != 0;)
        length += got;
    fclose(file);
    return length;
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
    options.max_dump_bytes = 100; /* no capture can get below that */
    assert_refused(free_process, &options, PROCINSPECT_ERROR_TOO_LARGE, &error);
    assert_non_null(strstr(error.message, "allows 100;"));
    assert_non_null(strstr(error.message, "was not stopped"));
    /* Nor below the texts that it is to hold. */
    options.max_dump_bytes = file_length("/proc/cpuinfo") + file_length("/proc/self/limits");
    assert_refused(free_process, &options, PROCINSPECT_ERROR_TOO_LARGE, &error);
    assert_non_null(strstr(error.message, "was not stopped"));
    options.max_dump_bytes = UINT64_C(1) << 40;
    procinspect_dump *dump = NULL;
    assert_int_equal(procinspect_dump_capture(free_process, &options, &dump, &error), 0);
    procinspect_dump_free(dump);
    procinspect_process_free(free_process);
    procinspect_process_free(tight_process);
    procinspect_context_free(free_context);
    procinspect_context_free(tight_context);
}

static size_t count_children_of_target(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)target_pid, (int)target_pid);
    return file_length(path);
}

/* Its modules are known only after the capture: that refuses it, and ends the copy. */
static void what_turns_out_too_large_by_copy(void **state) {
    (void)state;
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 1, 0);
    procinspect_process *process = open_process(context, target_pid);
    procinspect_dump_options options;
    procinspect_error error;
    procinspect_dump_options_init(&options, sizeof options);
    options.way = PROCINSPECT_DUMP_WAY_COPY;
    options.type = PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY;
    /* The first one touches code that the target hasn't run yet, and so makes it exist. */
    procinspect_dump *dump = NULL;
    assert_int_equal(procinspect_dump_capture(process, &options, &dump, &error), 0);
    procinspect_dump_free(dump);
    const procinspect_dump_estimate *estimate;
    assert_int_equal(procinspect_dump_estimate_read(process, &options, &estimate, NULL), 0);
    uint64_t size = estimate->size_bytes;
    procinspect_dump_estimate_free(estimate);
    options.max_dump_bytes = size - 200;
    for (int i = 0; i < 3; i++) { /* its place is given back, too */
        assert_refused(process, &options, PROCINSPECT_ERROR_TOO_LARGE, &error);
        char allowed[48];
        snprintf(allowed, sizeof allowed, "allows %llu;", (unsigned long long)size - 200);
        assert_non_null(strstr(error.message, allowed));
        assert_null(strstr(error.message, "was not stopped"));
        assert_int_equal(count_children_of_target(), 0);
    }
    options.max_dump_bytes = size + 1000;
    assert_int_equal(procinspect_dump_capture(process, &options, &dump, &error), 0);
    assert_int_not_equal(count_children_of_target(), 0);
    procinspect_dump_free(dump);
    assert_int_equal(count_children_of_target(), 0);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

static void what_is_only_checked_is_not_stopped(void **state) {
    (void)state;
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 1, 0);
    procinspect_process *process = open_process(context, target_pid);
    wait_until_target_is_idle();
    procinspect_dump *held = capture(process);
    wait_until_target_is_idle();
    const uint64_t size = procinspect_dump_size_bytes(held);
    procinspect_dump *dump = (procinspect_dump *)&context;
    procinspect_dump_options options;
    procinspect_error error;
    procinspect_dump_options_init(&options, sizeof options);
    options.flags = PROCINSPECT_DUMP_ONLY_CHECK;
    assert_int_equal(procinspect_dump_capture(process, &options, &dump, &error),
                     PROCINSPECT_ERROR_BUSY);
    procinspect_dump_free(held);
    for (int i = 0; i < 3; i++) /* takes no place */
        assert_int_equal(procinspect_dump_capture(process, &options, &dump, &error), 0);
    assert_ptr_equal(dump, &context);
    assert_int_equal(procinspect_dump_capture(process, &options, NULL, &error), 0);
    options.max_dump_bytes = 100;
    assert_int_equal(procinspect_dump_capture(process, &options, NULL, &error),
                     PROCINSPECT_ERROR_TOO_LARGE);
    /* As an idle process's dump then is, to some hundreds of bytes. */
    options.max_dump_bytes = size - 2000;
    assert_int_equal(procinspect_dump_capture(process, &options, NULL, &error),
                     PROCINSPECT_ERROR_TOO_LARGE);
    options.max_dump_bytes = size + 2000;
    assert_int_equal(procinspect_dump_capture(process, &options, NULL, &error), 0);
    options.max_dump_bytes = 0;
    options.type = 2;
    assert_int_equal(procinspect_dump_capture(process, &options, NULL, &error), 0);
    options.max_dump_bytes = 100000; /* less than any program has in memory */
    assert_int_equal(procinspect_dump_capture(process, &options, NULL, &error),
                     PROCINSPECT_ERROR_TOO_LARGE);
    options.max_dump_bytes = 0;
    options.type = 0x42;
    assert_int_equal(procinspect_dump_capture(process, &options, NULL, &error),
                     PROCINSPECT_ERROR_UNSUPPORTED);
    options.type = 0;
    options.flags |= 0x10;
    assert_int_equal(procinspect_dump_capture(process, &options, NULL, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "0x10"));
    options.flags = 0;
    options.reserved = 1;
    assert_refused(process, &options, PROCINSPECT_ERROR_INVALID_ARGUMENT, &error);
    procinspect_process_free(process);
    procinspect_context_free(context);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_arguments),
        cmocka_unit_test(only_where_the_policy_allows_dumps),
        cmocka_unit_test(limits_of_options_and_context),
        cmocka_unit_test(what_turns_out_too_large_by_copy),
        cmocka_unit_test(what_is_only_checked_is_not_stopped),
        cmocka_unit_test(a_recorded_tree_can_only_be_looked_at),
        cmocka_unit_test(a_process_that_has_ended),
    };
    return cmocka_run_group_tests(tests, start_target, end_target);
}
