/* SPDX-License-Identifier: MIT */
#include "subject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/context.h"

/* What callers hand in: wrong, missing, from newer headers; and the defaults. */

static int32_t make(const procinspect_context_options *options, procinspect_error *error) {
    procinspect_context *context = NULL;
    int32_t code = procinspect_context_new(options, &context, error);
    if (code != PROCINSPECT_OK) {
        assert_null(context);
        assert_int_equal(error->code, code);
        assert_true(strlen(error->message) > 20);
    }
    procinspect_context_free(context);
    return code;
}

static void defaults_of_a_context(void **state) {
    (void)state;
    procinspect_context *context;
    assert_int_equal(procinspect_context_new(NULL, &context, NULL), PROCINSPECT_OK);
    assert_int_equal(context->options.allow, 0);
    assert_int_equal(context->options.user_scope, PROCINSPECT_USER_SCOPE_OWN);
    assert_int_equal(context->options.max_concurrent_dumps, 4);
    assert_int_equal(context->options.max_dump_bytes, 0);
    assert_int_equal(context->options.hold_buffer_bytes, 64 * 1024 * 1024);
    assert_int_equal(context->options.max_pause_ms, 5000);
    assert_true(pi_system_is_live(context->system));
    procinspect_context *kept = procinspect_context_retain(context);
    assert_ptr_equal(kept, context);
    procinspect_context_free(context);
    assert_int_equal(kept->options.max_pause_ms, 5000);
    procinspect_context_free(kept);
    procinspect_context_free(NULL);
    assert_null(procinspect_context_retain(NULL));
}

static void wrong_context_options(void **state) {
    (void)state;
    static const char *const null_name[] = {"A", NULL};
    procinspect_error error;
    procinspect_context_options options;
    for (int i = 0; i < 9; i++) {
        procinspect_context_options_init(&options, sizeof options);
        if (i == 0)
            options.allow = 0x8;
        if (i == 1)
            options.user_scope = 2;
        if (i == 2)
            options.reserved = 1;
        if (i == 7)
            options.reserved2 = 1;
        if (i == 3)
            options.redacted_name_count = 1; /* and no names */
        if (i == 4) {
            options.redacted_names = null_name;
            options.redacted_name_count = 2;
        }
        if (i == 8)
            options.spool_directory = "tmp";
        if (i == 5)
            options.struct_size = 0;
        if (i == 6)
            options.struct_size = 72; /* without authorize_user, which the first version had */
        assert_int_equal(make(&options, &error), PROCINSPECT_ERROR_INVALID_ARGUMENT);
    }
    assert_int_equal(procinspect_context_new(NULL, NULL, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
}

static void a_star_inside_a_redacted_name(void **state) {
    (void)state;
    static const char *const wrong[] = {"SEC*ET", "*SEC*ET", "SEC*ET*", "***", "A**"};
    static const char *const right[] = {"*SECRET", "SECRET*", "*SECRET*", "*", "**", ""};
    procinspect_error error;
    procinspect_context_options options;
    procinspect_context_options_init(&options, sizeof options);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *const names[] = {"OTHER", wrong[i]};
        char expected[128];
        snprintf(expected, sizeof expected, "redacted_names[1] is '%s'; use * at the start or end",
                 wrong[i]);
        options.redacted_names = names;
        options.redacted_name_count = 2;
        assert_int_equal(make(&options, &error), PROCINSPECT_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, expected));
    }
    options.redacted_names = right;
    options.redacted_name_count = sizeof right / sizeof right[0];
    assert_int_equal(make(&options, &error), PROCINSPECT_OK);
}

static void options_of_newer_headers(void **state) {
    (void)state;
    struct {
        procinspect_context_options known;
        uint64_t newer;
    } options = {0};
    procinspect_error error;
    procinspect_context_options_init(&options.known, sizeof options);
    assert_int_equal(make(&options.known, &error), PROCINSPECT_OK);
    options.newer = 1;
    assert_int_equal(make(&options.known, &error), PROCINSPECT_ERROR_INVALID_ARGUMENT);

    struct {
        procinspect_process_query known;
        uint64_t newer;
    } query = {0};
    procinspect_process_query_init(&query.known, sizeof query);
    query.newer = 1;
    procinspect_context *context = context_of(RECORDED, 0, PROCINSPECT_USER_SCOPE_ALL);
    const procinspect_process_list *list;
    assert_int_equal(procinspect_process_list_read(context, &query.known, &list, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    procinspect_context_free(context);
}

static void roots_that_hold_no_processes(void **state) {
    (void)state;
    static const struct {
        const char *root;
        int32_t code;
        int os_errno;
    } cases[] = {
        {"/nowhere/proc", PROCINSPECT_ERROR_NOT_FOUND, ENOENT},
        {"/dev/null", PROCINSPECT_ERROR_IO, ENOTDIR},
        {"/dev", PROCINSPECT_ERROR_IO, ENOENT},
        {RECORDED "/17", PROCINSPECT_ERROR_IO, 0}, /* its stat is a process's */
        {"", PROCINSPECT_ERROR_NOT_FOUND, ENOENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        procinspect_context_options options;
        procinspect_context_options_init(&options, sizeof options);
        options.proc_root = cases[i].root;
        procinspect_error error;
        assert_int_equal(make(&options, &error), cases[i].code);
        assert_int_equal(error.os_errno, cases[i].os_errno);
        assert_non_null(strstr(error.message, cases[i].root));
    }
}

static void the_running_system_by_its_name(void **state) {
    (void)state;
    procinspect_context *context = context_of("/proc", 0, 0);
    assert_true(pi_system_is_live(context->system));
    procinspect_context_free(context);
    context = context_of(RECORDED, 0, PROCINSPECT_USER_SCOPE_ALL);
    assert_false(pi_system_is_live(context->system));
    procinspect_context_free(context);
}

static void wrong_arguments_of_listings(void **state) {
    (void)state;
    procinspect_context *context = context_of(RECORDED, 0, PROCINSPECT_USER_SCOPE_ALL);
    const procinspect_process_list *list = NULL;
    procinspect_error error;
    procinspect_process_query query;
    procinspect_process_query_init(&query, sizeof query);
    assert_int_equal(query.struct_size, sizeof query);
    assert_int_equal(procinspect_process_list_read(NULL, NULL, &list, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(procinspect_process_list_read(context, NULL, NULL, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    query.flags = 2;
    assert_int_equal(procinspect_process_list_read(context, &query, &list, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    query.flags = 0;
    static const uint64_t parts[] = {
        PROCINSPECT_PROCESS_CHILDREN,   PROCINSPECT_PROCESS_THREADS, PROCINSPECT_PROCESS_MODULES,
        PROCINSPECT_PROCESS_OPEN_FILES, UINT64_C(1) << 28,           UINT64_C(1) << 63};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        query.members = parts[i] | PROCINSPECT_PROCESS_NAME;
        assert_int_equal(procinspect_process_list_read(context, &query, &list, &error),
                         PROCINSPECT_ERROR_INVALID_ARGUMENT);
    }
    assert_null(list);
    procinspect_process_list_free(NULL);
    procinspect_context_free(context);
}

static void wrong_arguments_of_processes(void **state) {
    (void)state;
    procinspect_context *context = context_of(RECORDED, 0, PROCINSPECT_USER_SCOPE_ALL);
    procinspect_process *process = NULL;
    procinspect_error error;
    static const int32_t pids[] = {-1, INT32_MIN};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(procinspect_process_open(context, pids[i], &process, &error),
                         PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(procinspect_process_open(NULL, 17, &process, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(procinspect_process_open(context, 17, NULL, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_null(process);
    process = process_of(context, 17);
    const procinspect_process_info *info = NULL;
    assert_int_equal(procinspect_process_info_read(process, UINT64_C(1) << 28, &info, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(procinspect_process_info_read(NULL, 0, &info, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(procinspect_process_info_read(process, 0, NULL, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    procinspect_thread_query threads;
    procinspect_thread_query_init(&threads, sizeof threads);
    const procinspect_thread_list *thread_list = NULL;
    threads.tid = -1;
    assert_int_equal(procinspect_thread_list_read(process, &threads, &thread_list, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    threads.tid = 0;
    threads.members = 0x40;
    assert_int_equal(procinspect_thread_list_read(process, &threads, &thread_list, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    procinspect_module_query modules;
    procinspect_module_query_init(&modules, sizeof modules);
    const procinspect_module_list *module_list = NULL;
    modules.flags = 1;
    assert_int_equal(procinspect_module_list_read(process, &modules, &module_list, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(procinspect_open_file_list_read(process, NULL, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(procinspect_process_check(NULL, &error), PROCINSPECT_ERROR_INVALID_ARGUMENT);
    procinspect_process_free(process);
    procinspect_process_free(NULL);
    procinspect_process_info_free(NULL);
    procinspect_thread_list_free(NULL);
    procinspect_module_list_free(NULL);
    procinspect_open_file_list_free(NULL);
    procinspect_environment_free(NULL);
    procinspect_context_free(context);
}

static void the_version(void **state) {
    (void)state;
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", PROCINSPECT_VERSION_MAJOR, PROCINSPECT_VERSION_MINOR,
             PROCINSPECT_VERSION_PATCH);
    assert_string_equal(procinspect_version_text(), text);
    assert_int_equal(procinspect_version(), PROCINSPECT_VERSION_MAJOR << 16 |
                                                PROCINSPECT_VERSION_MINOR << 8 |
                                                PROCINSPECT_VERSION_PATCH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_of_a_context),
        cmocka_unit_test(wrong_context_options),
        cmocka_unit_test(a_star_inside_a_redacted_name),
        cmocka_unit_test(options_of_newer_headers),
        cmocka_unit_test(roots_that_hold_no_processes),
        cmocka_unit_test(the_running_system_by_its_name),
        cmocka_unit_test(wrong_arguments_of_listings),
        cmocka_unit_test(wrong_arguments_of_processes),
        cmocka_unit_test(the_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
