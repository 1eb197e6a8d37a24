/* SPDX-License-Identifier: MIT */
/* Threads of the host's that are cancelled (pthread_cancel) in calls that hold something: first
 * the call is done. */
#include "dump_target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stream_content.h"

/* What the thread calls, and what came of it. */
typedef struct cancelled_call {
    int32_t (*make)(void *argument, procinspect_error *error);
    void *argument;
    procinspect_error error;
    atomic_bool is_done;
} cancelled_call;

static void *call_when_cancelled(void *argument) {
    cancelled_call *call = argument;
    pthread_cancel(pthread_self()); /* which acts wherever it is let */
    call->make(call->argument, &call->error);
    atomic_store(&call->is_done, true);
    return NULL;
}

static void assert_is_done(int32_t (*make)(void *argument, procinspect_error *error),
                           void *argument) {
    pthread_t thread;
    cancelled_call call = {.make = make, .argument = argument};
    assert_int_equal(pthread_create(&thread, NULL, call_when_cancelled, &call), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(atomic_load(&call.is_done));
    assert_string_equal(call.error.message, "");
}

typedef struct capturing {
    const procinspect_process *process;
    procinspect_dump *dump;
} capturing;

static int32_t make_dump(void *argument, procinspect_error *error) {
    capturing *wanted = argument;
    return procinspect_dump_capture(wanted->process, NULL, &wanted->dump, error);
}

static void a_dump_is_captured(void **state) {
    (void)state;
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 1, 0);
    procinspect_process *process = open_process(context, target_pid);
    capturing wanted = {.process = process};
    assert_is_done(make_dump, &wanted);
    procinspect_dump_free(wanted.dump);
    procinspect_dump_free(capture(process)); /* in the one place for dumps */
    procinspect_process_free(process);
    procinspect_context_free(context);
}

typedef struct streaming {
    procinspect_stream *stream;
    int file;
} streaming;

static int32_t write_stream(void *argument, procinspect_error *error) {
    const streaming *wanted = argument;
    return procinspect_stream_write_to_descriptor(wanted->stream, wanted->file, error);
}

static void a_stream_is_written(void **state) {
    (void)state;
    const size_t lengths[] = {SHORT_LENGTH, LONG_LENGTH};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct stat status;
        FILE *file = tmpfile();
        assert_non_null(file);
        content_length = lengths[i];
        streaming wanted = {content_stream(NULL), fileno(file)};
        assert_is_done(write_stream, &wanted);
        procinspect_stream_free(wanted.stream);
        assert_int_equal(fstat(fileno(file), &status), 0);
        assert_int_equal(status.st_size, lengths[i]);
        fclose(file);
    }
}

static int32_t end_tree(void *process, procinspect_error *error) {
    const procinspect_kill_report *report;
    int32_t code = procinspect_kill_tree(process, NULL, &report, error);
    if (code == 0)
        procinspect_kill_report_free(report);
    return code;
}

static void a_tree_is_ended(void **state) {
    (void)state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        sleep_for_ever(NULL);
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_KILL, 0, 0);
    procinspect_process *process = open_process(context, child);
    assert_is_done(end_tree, process);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dump_is_captured),
        cmocka_unit_test(a_stream_is_written),
        cmocka_unit_test(a_tree_is_ended),
    };
    fill_content();
    return cmocka_run_group_tests(tests, start_target, end_target);
}
