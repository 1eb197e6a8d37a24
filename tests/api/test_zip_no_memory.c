/* SPDX-License-Identifier: MIT */
/* Each allocation of a dump's zip fails once: of the stream, the support files, minizip, the
 * manifest. */
#include "api/support_tree.h"

#include "zip/failing_memory.h"
#include "zip/own_tasks.h"

enum { MOST_ALLOCATIONS = 5000 };

static int32_t drop(void *user, const void *bytes, size_t length) {
    (void)bytes;
    *(size_t *)user += length;
    return 0;
}

static int32_t make_zip(procinspect_dump *dump, size_t *length, procinspect_error *error) {
    procinspect_dump_stream_options options;
    procinspect_stream *stream = NULL;
    procinspect_dump_stream_options_init(&options, sizeof options);
    options.format = PROCINSPECT_DUMP_FORMAT_ZIP;
    options.workers = 2;
    *length = 0;
    int32_t code = procinspect_stream_open_dump(dump, &options, &stream, error);
    if (code != 0)
        assert_null(stream);
    else
        code = procinspect_stream_push(stream, drop, length, error);
    procinspect_stream_free(stream);
    return code;
}

static procinspect_dump *dump_of(pid_t pid) {
    procinspect_context_options options;
    procinspect_context *context;
    procinspect_process *process;
    procinspect_dump *dump = NULL;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_DUMP;
    options.max_pause_ms = 60000; /* of a machine that a hundred others want */
    options.user_scope = PROCINSPECT_USER_SCOPE_ALL;
    assert_int_equal(procinspect_context_new(&options, &context, NULL), 0);
    assert_int_equal(procinspect_process_open(context, pid, &process, NULL), 0);
    assert_int_equal(procinspect_dump_capture(process, NULL, &dump, NULL), 0);
    procinspect_process_free(process);
    procinspect_context_free(context);
    return dump;
}

static void it_is_refused_or_whole(void **state) {
    (void)state;
    static const char *const coreclr[] = {DOTNET "/libcoreclr.so"};
    procinspect_error error = {0};
    size_t expected, length, refused = 0;
    if (!failing_memory_is_there)
        skip();
    make_dotnet();
    pid_t pid = start_mapping(coreclr, 1, 0, NULL);
    procinspect_dump *dump = dump_of(pid);
    size_t tasks = own_task_count(), descriptors = own_descriptor_count();
    assert_int_equal(make_zip(dump, &expected, &error), 0);
    size_t live = failing_memory_live_count();
    bool has_failed = true;
    for (size_t number = 0; has_failed; number++) {
        assert_true(number < MOST_ALLOCATIONS);
        error = (procinspect_error){0};
        failing_memory_begin(number, number % 8 == 0); /* alone, or with all after it */
        int32_t code = make_zip(dump, &length, &error);
        has_failed = failing_memory_end();
        assert_int_equal(code, error.code);
        if (code != 0) {
            assert_int_equal(code, PROCINSPECT_ERROR_NO_MEMORY);
            assert_true(strlen(error.message) > 10);
            refused++;
        } else {
            assert_int_equal(length, expected);
        }
        assert_own_tasks(tasks);
        assert_int_equal(own_descriptor_count(), descriptors);
        assert_int_equal(failing_memory_live_count(), live);
    }
    assert_true(refused > 50);
    procinspect_dump_free(dump);
    end_mapping(pid);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_refused_or_whole, support_setup, support_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
