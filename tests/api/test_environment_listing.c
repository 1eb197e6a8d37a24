/* SPDX-License-Identifier: MIT */
#include "subject.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

/* PROCINSPECT_PROCESS_ENVIRONMENT in a listing: who may have it, and what is in it. */

enum { LOGGED = 64 };

/* What the authorize callback was asked, and whom it refuses. */
typedef struct question_log {
    procinspect_access asked[LOGGED];
    size_t count;
    int32_t refused_pid;
} question_log;

static int32_t answer(void *user, const procinspect_access *access) {
    question_log *questions = user;
    if (questions->count < LOGGED)
        questions->asked[questions->count] = *access;
    questions->count++;
    return access->pid == questions->refused_pid;
}

static procinspect_context_options recorded_options(void) {
    procinspect_context_options options;
    procinspect_context_options_init(&options, sizeof options);
    options.proc_root = RECORDED;
    options.allow = PROCINSPECT_ALLOW_ENVIRONMENT;
    options.user_scope = PROCINSPECT_USER_SCOPE_ALL;
    return options;
}

static procinspect_context *context_with(const procinspect_context_options *options) {
    procinspect_context *context;
    assert_int_equal(procinspect_context_new(options, &context, NULL), PROCINSPECT_OK);
    return context;
}

static int32_t read_list(const procinspect_context *context, const procinspect_process_list **list,
                         procinspect_error *error) {
    procinspect_process_query query;
    procinspect_process_query_init(&query, sizeof query);
    query.flags = PROCINSPECT_PROCESS_QUERY_ALL_USERS;
    query.members = PROCINSPECT_PROCESS_ENVIRONMENT;
    return procinspect_process_list_read(context, &query, list, error);
}

static const procinspect_process_list *list_of(const procinspect_context *context) {
    const procinspect_process_list *list;
    procinspect_error error;
    if (read_list(context, &list, &error) != PROCINSPECT_OK)
        fail_msg("%s", error.message);
    return list;
}

static const procinspect_environment *environment_of(const procinspect_process_list *list,
                                                     int32_t pid) {
    const procinspect_process_info *info = item_of(list, pid);
    assert_non_null(info);
    assert_true((info->known & PROCINSPECT_PROCESS_ENVIRONMENT) != 0);
    assert_int_equal(info->unavailable_count, 0);
    assert_int_equal(info->environment->pid, pid);
    return info->environment;
}

static void has(const procinspect_environment *environment, size_t index, const char *name,
                const char *value) {
    assert_in_range(index + 1, 1, environment->count);
    assert_string_equal(environment->items[index]->name, name);
    assert_string_equal(environment->items[index]->value, value);
    assert_int_equal(environment->items[index]->is_redacted, 0);
}

static void has_to_be_allowed(void **state) {
    (void)state;
    procinspect_context_options options = recorded_options();
    question_log questions = {0};
    options.allow = PROCINSPECT_ALLOW_DUMP;
    options.authorize = answer;
    options.authorize_user = &questions;
    procinspect_context *context = context_with(&options);
    const procinspect_process_list *list = NULL;
    procinspect_error error;
    assert_int_equal(read_list(context, &list, &error), PROCINSPECT_ERROR_POLICY);
    assert_int_equal(error.code, PROCINSPECT_ERROR_POLICY);
    assert_non_null(strstr(error.message, "PROCINSPECT_ALLOW_ENVIRONMENT"));
    assert_null(list);
    assert_int_equal(questions.count, 0);
    procinspect_context_free(context);
}

static void variables_of_a_recorded_process(void **state) {
    (void)state;
    procinspect_context_options options = recorded_options();
    procinspect_context *context = context_with(&options);
    const procinspect_process_list *list = list_of(context);
    const procinspect_environment *environment = environment_of(list, 17);
    assert_int_equal(environment->count, 7);
    has(environment, 0, "PATH", "/bin");
    has(environment, 4, "SECRET", "one"); /* of two, the first */
    has(environment, 5, "BINARY", "\xef\xbf\xbd\xef\xbf\xbd=");
    assert_int_equal(environment->items[5]->value_bytes_length, 3);
    has(environment, 6, "EMPTY", "");
    assert_int_equal(environment_of(list, 22)->count, 0); /* a kernel thread */
    const procinspect_process_info *zombie = item_of(list, 23);
    assert_int_equal(reason_of(zombie, PROCINSPECT_PROCESS_ENVIRONMENT)->code,
                     PROCINSPECT_ERROR_GONE);
    assert_null(zombie->environment);
    procinspect_process_list_free(list);
    procinspect_context_free(context);
}

static void names_that_a_context_holds_back(void **state) {
    (void)state;
    static const char *const names[] = {"webjobs_*", "secret"};
    procinspect_context_options options = recorded_options();
    options.redacted_names = names;
    options.redacted_name_count = 2;
    procinspect_context *context = context_with(&options);
    const procinspect_process_list *list = list_of(context);
    const procinspect_environment *environment = environment_of(list, 17);
    assert_int_equal(environment->count, 7);
    for (size_t i = 0; i < environment->count; i++) {
        const procinspect_environment_variable *each = environment->items[i];
        bool is_held_back =
            strncmp(each->name, "WEBJOBS_", 8) == 0 || strcmp(each->name, "SECRET") == 0;
        assert_int_equal(each->is_redacted, is_held_back);
        assert_true(is_held_back == (each->value_bytes == NULL));
        if (is_held_back)
            assert_string_equal(each->value, "");
    }
    has(environment, 0, "PATH", "/bin");
    procinspect_process_list_free(list);
    procinspect_context_free(context);
}

static const uint64_t site = PROCINSPECT_PROCESS_SITE_ROLE | PROCINSPECT_PROCESS_WEB_JOB;

/* That it is one may be seen where looking is allowed; its name not, for this reason. */
static void assert_web_job_held_back(procinspect_context_options *options, const char *says) {
    procinspect_context *context = context_with(options);
    const procinspect_process_info *info = info_of(context, 17, site);
    assert_true(info->known == PROCINSPECT_PROCESS_SITE_ROLE);
    assert_int_equal(info->is_web_job, 1);
    assert_int_equal(info->is_management_site, 1);
    assert_null(info->web_job_name);
    assert_null(info->web_job_type);
    assert_int_equal(reason_of(info, PROCINSPECT_PROCESS_WEB_JOB)->code, PROCINSPECT_ERROR_POLICY);
    assert_non_null(strstr(reason_of(info, PROCINSPECT_PROCESS_WEB_JOB)->reason, says));
    procinspect_process_info_free(info);
    procinspect_context_free(context);
}

static int32_t refuse_environments(void *user, const procinspect_access *access) {
    (void)user;
    return access->action == PROCINSPECT_ACTION_ENVIRONMENT;
}

static void a_web_job_is_named_where_environments_are_allowed(void **state) {
    (void)state;
    static const char *const names[] = {"*_NAME", "webjobs_type"};
    procinspect_context_options options = recorded_options();
    procinspect_context *context = context_with(&options);
    const procinspect_process_info *info = info_of(context, 17, PROCINSPECT_PROCESS_WEB_JOB);
    assert_true(info->known == site);
    assert_string_equal(info->web_job_name, "mail");
    assert_string_equal(info->web_job_type, "continuous");
    procinspect_process_info_free(info);
    procinspect_process_query query;
    procinspect_process_query_init(&query, sizeof query);
    query.members = PROCINSPECT_PROCESS_WEB_JOB;
    const procinspect_process_list *list;
    assert_int_equal(procinspect_process_list_read(context, &query, &list, NULL),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    procinspect_context_free(context);

    options.redacted_name_count = 1;
    for (size_t i = 0; i < 2; i++) {
        options.redacted_names = &names[i];
        assert_web_job_held_back(&options, "redacted_names");
    }
    options.redacted_name_count = 0;
    options.authorize = refuse_environments;
    assert_web_job_held_back(&options, "callback");
    options.authorize = NULL;
    options.allow = 0;
    assert_web_job_held_back(&options, "PROCINSPECT_ALLOW_ENVIRONMENT");
}

static void the_host_is_asked_about_each_process(void **state) {
    (void)state;
    question_log questions = {.refused_pid = 17};
    procinspect_context_options options = recorded_options();
    options.authorize = answer;
    options.authorize_user = &questions;
    procinspect_context *context = context_with(&options);
    const procinspect_process_list *list = list_of(context);
    const procinspect_process_info *refused = item_of(list, 17);
    const procinspect_unavailable *reason = reason_of(refused, PROCINSPECT_PROCESS_ENVIRONMENT);
    assert_int_equal(reason->code, PROCINSPECT_ERROR_POLICY);
    assert_non_null(strstr(reason->reason, "authorize callback"));
    assert_null(refused->environment);
    assert_int_equal(environment_of(list, 22)->count, 0);
    size_t about_refused = 0;
    assert_in_range(questions.count, 2, LOGGED);
    for (size_t i = 0; i < questions.count; i++) {
        assert_int_equal(questions.asked[i].action, PROCINSPECT_ACTION_ENVIRONMENT);
        assert_int_equal(questions.asked[i].user_id,
                         item_of(list, questions.asked[i].pid)->user_id);
        about_refused += questions.asked[i].pid == 17;
    }
    assert_int_equal(about_refused, 1);
    procinspect_process_list_free(list);
    procinspect_context_free(context);
}

/* The names V0 to V199 with their numbers, the even ones twice, the second time with another value:
 * more than are looked at without sorting. */
enum { NAMES = 200, REPEATED = NAMES / 2 };

static pid_t start_with_many_variables(void) {
    static char texts[NAMES + REPEATED][16];
    static char *environment[NAMES + REPEATED + 1];
    for (int i = 0; i < NAMES; i++)
        snprintf(texts[i], sizeof texts[i], "V%d=%d", i, i);
    for (int i = 0; i < REPEATED; i++)
        snprintf(texts[NAMES + i], sizeof texts[0], "V%d=again", 2 * i);
    for (int i = 0; i < NAMES + REPEATED; i++)
        environment[i] = texts[i];
    static char path[] = "/bin/sleep", seconds[] = "1000";
    char *const arguments[] = {path, seconds, NULL};
    int ready[2];
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execve(path, arguments, environment);
        _exit(127);
    }
    close(ready[1]);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 0); /* exec closed it */
    close(ready[0]);
    return pid;
}

static void many_variables_of_two_alike(void **state) {
    (void)state;
    pid_t pids[] = {start_with_many_variables(), start_with_many_variables()};
    procinspect_context *context =
        context_of(NULL, PROCINSPECT_ALLOW_ENVIRONMENT, PROCINSPECT_USER_SCOPE_ALL);
    const procinspect_process_list *list = list_of(context);
    for (size_t i = 0; i < 2; i++) {
        const procinspect_environment *environment = environment_of(list, pids[i]);
        assert_int_equal(environment->count, NAMES);
        for (size_t k = 0; k < NAMES; k++) {
            char name[16], value[16];
            snprintf(name, sizeof name, "V%zu", k);
            snprintf(value, sizeof value, "%zu", k);
            has(environment, k, name, value);
        }
    }
    procinspect_process_list_free(list);
    procinspect_context_free(context);
    child_end(pids[0]);
    child_end(pids[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_to_be_allowed),
        cmocka_unit_test(variables_of_a_recorded_process),
        cmocka_unit_test(names_that_a_context_holds_back),
        cmocka_unit_test(a_web_job_is_named_where_environments_are_allowed),
        cmocka_unit_test(the_host_is_asked_about_each_process),
        cmocka_unit_test(many_variables_of_two_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
