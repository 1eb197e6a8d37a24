/* SPDX-License-Identifier: MIT */
#include "subject.h"

#include <stdio.h>
#include <stdlib.h>

/* The environment of process 17 of the recorded tree. */

static procinspect_context *context_that_redacts(const char *const *names, size_t count) {
    procinspect_context_options options;
    procinspect_context_options_init(&options, sizeof options);
    options.proc_root = RECORDED;
    options.allow = PROCINSPECT_ALLOW_ENVIRONMENT;
    options.user_scope = PROCINSPECT_USER_SCOPE_ALL;
    options.redacted_names = names;
    options.redacted_name_count = count;
    procinspect_context *context;
    assert_int_equal(procinspect_context_new(&options, &context, NULL), PROCINSPECT_OK);
    return context;
}

/* "NAME=value|…" of what a query gives, with "NAME|" for a value that is held back. */
static void environment_is(const procinspect_context *context, const char *name_contains,
                           uint32_t flags, const char *expected) {
    procinspect_process *process = process_of(context, 17);
    procinspect_environment_query query;
    procinspect_environment_query_init(&query, sizeof query);
    query.name_contains = name_contains;
    query.flags = flags;
    const procinspect_environment *environment;
    assert_int_equal(procinspect_environment_read(process, &query, &environment, NULL),
                     PROCINSPECT_OK);
    assert_int_equal(environment->pid, 17);
    char all[1024] = "";
    for (size_t i = 0; i < environment->count; i++) {
        const procinspect_environment_variable *variable = environment->items[i];
        strcat(all, variable->name);
        if (variable->is_redacted) {
            assert_string_equal(variable->value, "");
            assert_null(variable->value_bytes);
            assert_int_equal(variable->value_bytes_length, 0);
        } else {
            strcat(strcat(all, "="), variable->value);
        }
        strcat(all, "|");
    }
    assert_string_equal(all, expected);
    procinspect_environment_free(environment);
    procinspect_process_free(process);
}

static void variables_of_a_process(void **state) {
    (void)state;
    procinspect_context *context = context_that_redacts(NULL, 0);
    environment_is(context, NULL, 0,
                   "PATH=/bin|WEBJOBS_NAME=mail|WEBJOBS_TYPE=continuous|APP_POOL_ID=~1site|"
                   "SECRET=one|BINARY=\xef\xbf\xbd\xef\xbf\xbd=|EMPTY=|");
    environment_is(context, "", 0,
                   "PATH=/bin|WEBJOBS_NAME=mail|WEBJOBS_TYPE=continuous|APP_POOL_ID=~1site|"
                   "SECRET=one|BINARY=\xef\xbf\xbd\xef\xbf\xbd=|EMPTY=|");
    environment_is(context, "webjobs", 0, "WEBJOBS_NAME=mail|WEBJOBS_TYPE=continuous|");
    environment_is(context, "NAME", 0, "WEBJOBS_NAME=mail|");
    environment_is(context, "mail", 0, ""); /* names only, not values */
    environment_is(context, "P", PROCINSPECT_ENVIRONMENT_QUERY_REDACT,
                   "PATH|WEBJOBS_TYPE|APP_POOL_ID|EMPTY|");
    procinspect_context_free(context);
}

static void names_that_a_context_holds_back(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *contains, *expected;
    } cases[] = {
        {"SECRET", "E", "WEBJOBS_NAME=mail|WEBJOBS_TYPE=continuous|SECRET|EMPTY=|"},
        {"secret", "SECRET", "SECRET|"}, /* without regard to case */
        {"SECRE", "SECRET", "SECRET=one|"},
        {"SECRETS", "SECRET", "SECRET=one|"},
        {"web*", "E", "WEBJOBS_NAME|WEBJOBS_TYPE|SECRET=one|EMPTY=|"},
        {"*_id", "P", "PATH=/bin|WEBJOBS_TYPE=continuous|APP_POOL_ID|EMPTY=|"},
        {"*JOB*", "E", "WEBJOBS_NAME|WEBJOBS_TYPE|SECRET=one|EMPTY=|"},
        {"*", "E", "WEBJOBS_NAME|WEBJOBS_TYPE|SECRET|EMPTY|"},
        {"**", "SECRET", "SECRET|"},
        {"*SECRET*", "SECRET", "SECRET|"},
        {"", "SECRET", "SECRET=one|"},
        {"SECRETSECRET*", "SECRET", "SECRET=one|"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        procinspect_context *context = context_that_redacts(&cases[i].pattern, 1);
        environment_is(context, cases[i].contains, 0, cases[i].expected);
        procinspect_context_free(context);
    }
}

static void names_are_copied(void **state) {
    (void)state;
    char name[] = "SECRET";
    const char *names[] = {"OTHER", name};
    procinspect_context *context = context_that_redacts(names, 2);
    memset(name, 'x', sizeof name - 1);
    names[0] = NULL;
    environment_is(context, "SECRET", 0, "SECRET|");
    const procinspect_process_info *info = info_of(context, 17, PROCINSPECT_PROCESS_ENVIRONMENT);
    assert_int_equal(info->environment->count, 7);
    assert_string_equal(info->environment->items[4]->name, "SECRET");
    assert_int_equal(info->environment->items[4]->is_redacted, 1);
    assert_string_equal(info->environment->items[4]->value, "");
    procinspect_process_info_free(info);
    procinspect_context_free(context);
}

static void wrong_queries(void **state) {
    (void)state;
    procinspect_context *context = context_that_redacts(NULL, 0);
    procinspect_process *process = process_of(context, 17);
    procinspect_environment_query query;
    procinspect_environment_query_init(&query, sizeof query);
    const procinspect_environment *environment = NULL;
    query.flags = 2;
    assert_int_equal(procinspect_environment_read(process, &query, &environment, NULL),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    query.flags = 0;
    query.struct_size = 2;
    assert_int_equal(procinspect_environment_read(process, &query, &environment, NULL),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(procinspect_environment_read(process, NULL, NULL, NULL),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(procinspect_environment_read(NULL, NULL, &environment, NULL),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_null(environment);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_of_a_process),
        cmocka_unit_test(names_that_a_context_holds_back),
        cmocka_unit_test(names_are_copied),
        cmocka_unit_test(wrong_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
