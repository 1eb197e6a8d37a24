/* SPDX-License-Identifier: MIT */
#include "subject.h"

#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ORDINARY_USER = 65534, OTHER_USER = 65533 };

static void become(uid_t user) {
    if (setgroups(0, NULL) != 0 || setresgid(user, user, user) != 0 ||
        setresuid(user, user, user) != 0)
        _exit(3);
}

static void become_ordinary(void) {
    become(ORDINARY_USER);
}

static void become_other(void) {
    become(OTHER_USER);
}

/* Runs the body in a child of an ordinary user; its assertions become the exit status. */
static void as_ordinary_user(void (*body)(pid_t other), pid_t other) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        become_ordinary();
        prctl(PR_SET_DUMPABLE, 1); /* or our own files in /proc would be root's */
        body(other);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* In a child: cmocka's assertions would jump out of it. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            dprintf(2, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                             \
            _exit(4);                                                                              \
        }                                                                                          \
    } while (0)

static procinspect_context *context_with(uint32_t allow, uint32_t scope) {
    procinspect_context_options options;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = allow;
    options.user_scope = scope;
    procinspect_context *context = NULL;
    CHECK(procinspect_context_new(&options, &context, NULL) == PROCINSPECT_OK);
    return context;
}

static void own_scope_refuses_others(pid_t other) {
    procinspect_context *context = context_with(0, PROCINSPECT_USER_SCOPE_OWN);
    procinspect_process *process = NULL;
    procinspect_error error;
    CHECK(procinspect_process_open(context, other, &process, &error) == PROCINSPECT_ERROR_POLICY);
    CHECK(strstr(error.message, "PROCINSPECT_USER_SCOPE_OWN") != NULL);
    CHECK(strstr(error.message, "65533") != NULL); /* whose it is */
    CHECK(process == NULL);
    CHECK(procinspect_process_open(context, 0, &process, &error) == PROCINSPECT_OK);
    procinspect_process_free(process);

    const procinspect_process_list *list;
    CHECK(procinspect_process_list_read(context, NULL, &list, &error) == PROCINSPECT_OK);
    bool own_is_there = false;
    for (size_t i = 0; i < list->count; i++) {
        CHECK(list->items[i]->pid != other && list->items[i]->pid != 1);
        own_is_there |= list->items[i]->pid == getpid();
    }
    CHECK(own_is_there);
    procinspect_process_list_free(list);
    procinspect_process_query query;
    procinspect_process_query_init(&query, sizeof query);
    query.flags = PROCINSPECT_PROCESS_QUERY_ALL_USERS;
    CHECK(procinspect_process_list_read(context, &query, &list, &error) ==
          PROCINSPECT_ERROR_POLICY);
    procinspect_context_free(context);
}

/* The policy agrees, and the kernel doesn't. */
static void the_kernel_refuses_others(pid_t other) {
    procinspect_context *context =
        context_with(PROCINSPECT_ALLOW_ENVIRONMENT, PROCINSPECT_USER_SCOPE_ALL);
    procinspect_process *process;
    procinspect_error error;
    CHECK(procinspect_process_open(context, other, &process, &error) == PROCINSPECT_OK);
    const procinspect_process_info *info;
    CHECK(procinspect_process_info_read(process, 0, &info, &error) == PROCINSPECT_OK);
    const uint64_t refused = PROCINSPECT_PROCESS_EXECUTABLE | PROCINSPECT_PROCESS_OPEN_FILE_COUNT |
                             PROCINSPECT_PROCESS_SITE_ROLE | PROCINSPECT_PROCESS_WEB_JOB |
                             PROCINSPECT_PROCESS_ENVIRONMENT | PROCINSPECT_PROCESS_OPEN_FILES |
                             PROCINSPECT_PROCESS_MODULES;
    CHECK(info->known == (PROCINSPECT_PROCESS_EVERYTHING & ~refused));
    CHECK(info->user_id == OTHER_USER);
    uint64_t explained = 0;
    for (size_t i = 0; i < info->unavailable_count; i++) {
        explained |= info->unavailable[i]->members;
        CHECK(info->unavailable[i]->code == PROCINSPECT_ERROR_PERMISSION);
        CHECK(strstr(info->unavailable[i]->reason, "CAP_SYS_PTRACE") != NULL);
    }
    CHECK(explained == refused);
    CHECK(info->environment == NULL && info->modules == NULL && info->open_files == NULL);
    procinspect_process_info_free(info);
    const procinspect_environment *environment;
    CHECK(procinspect_environment_read(process, NULL, &environment, &error) ==
          PROCINSPECT_ERROR_PERMISSION);
    const procinspect_open_file_list *files;
    CHECK(procinspect_open_file_list_read(process, &files, &error) == PROCINSPECT_ERROR_PERMISSION);
    CHECK(strstr(error.message, "CAP_SYS_PTRACE") != NULL);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

static void with_another_users_process(void (*body)(pid_t other)) {
    if (geteuid() != 0)
        skip(); /* making processes of two users takes root */
    pid_t other = child_start(become_other);
    as_ordinary_user(body, other);
    child_end(other);
}

static void own_scope(void **state) {
    (void)state;
    with_another_users_process(own_scope_refuses_others);
}

static void what_the_kernel_refuses(void **state) {
    (void)state;
    with_another_users_process(the_kernel_refuses_others);
}

/* Process 1 is root's, which an ordinary user meets without any help. */
static void own_scope_of_an_ordinary_user(void **state) {
    (void)state;
    if (geteuid() == 0)
        skip(); /* own_scope has tested it */
    procinspect_context *context = context_of(NULL, 0, PROCINSPECT_USER_SCOPE_OWN);
    procinspect_process *process;
    procinspect_error error;
    assert_int_equal(procinspect_process_open(context, 1, &process, &error),
                     PROCINSPECT_ERROR_POLICY);
    procinspect_context_free(context);
}

static void environments_have_to_be_allowed(void **state) {
    (void)state;
    procinspect_context *context = context_of(NULL, PROCINSPECT_ALLOW_DUMP, 0);
    procinspect_process *process = process_of(context, getpid());
    const procinspect_environment *environment;
    procinspect_error error;
    assert_int_equal(procinspect_environment_read(process, NULL, &environment, &error),
                     PROCINSPECT_ERROR_POLICY);
    assert_non_null(strstr(error.message, "PROCINSPECT_ALLOW_ENVIRONMENT"));
    const procinspect_process_info *info = info_of(context, getpid(), 0);
    const procinspect_unavailable *reason = reason_of(info, PROCINSPECT_PROCESS_ENVIRONMENT);
    assert_int_equal(reason->code, PROCINSPECT_ERROR_POLICY);
    assert_non_null(strstr(reason->reason, "PROCINSPECT_ALLOW_ENVIRONMENT"));
    assert_null(info->environment);
    /* Looking is allowed, and with it the role of a site. */
    assert_true(info->known == (PROCINSPECT_PROCESS_EVERYTHING & ~PROCINSPECT_PROCESS_ENVIRONMENT));
    procinspect_process_info_free(info);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

typedef struct question_log {
    procinspect_access asked[8];
    size_t count;
    uint32_t refuse; /* an action, 0 for none */
} question_log;

static int32_t answer(void *user, const procinspect_access *access) {
    question_log *questions = user;
    assert_in_range(questions->count, 0, 7);
    questions->asked[questions->count++] = *access;
    return access->action == questions->refuse ? 7 : 0;
}

static procinspect_context *context_that_asks(question_log *questions, uint32_t allow) {
    procinspect_context_options options;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = allow;
    options.authorize = answer;
    options.authorize_user = questions;
    procinspect_context *context;
    assert_int_equal(procinspect_context_new(&options, &context, NULL), PROCINSPECT_OK);
    return context;
}

static void the_host_is_asked(void **state) {
    (void)state;
    question_log questions = {0};
    procinspect_context *context = context_that_asks(&questions, PROCINSPECT_ALLOW_ENVIRONMENT);
    procinspect_process *process = process_of(context, 0);
    assert_int_equal(questions.count, 1);
    assert_int_equal(questions.asked[0].action, PROCINSPECT_ACTION_LOOK);
    assert_int_equal(questions.asked[0].pid, getpid());
    assert_int_equal(questions.asked[0].user_id, geteuid());
    const procinspect_environment *environment;
    assert_int_equal(procinspect_environment_read(process, NULL, &environment, NULL),
                     PROCINSPECT_OK);
    procinspect_environment_free(environment);
    assert_int_equal(questions.count, 2);
    assert_int_equal(questions.asked[1].action, PROCINSPECT_ACTION_ENVIRONMENT);

    questions.refuse = PROCINSPECT_ACTION_ENVIRONMENT;
    procinspect_error error;
    assert_int_equal(procinspect_environment_read(process, NULL, &environment, &error),
                     PROCINSPECT_ERROR_POLICY);
    assert_non_null(strstr(error.message, "authorize callback"));
    procinspect_process_free(process);
    questions.refuse = PROCINSPECT_ACTION_LOOK;
    assert_int_equal(procinspect_process_open(context, 0, &process, &error),
                     PROCINSPECT_ERROR_POLICY);
    procinspect_context_free(context);
}

static void the_host_is_not_asked_what_it_forbade(void **state) {
    (void)state;
    question_log questions = {0};
    procinspect_context *context = context_that_asks(&questions, 0);
    procinspect_process *process = process_of(context, 0);
    const procinspect_environment *environment;
    assert_int_equal(procinspect_environment_read(process, NULL, &environment, NULL),
                     PROCINSPECT_ERROR_POLICY);
    assert_int_equal(questions.count, 1); /* to look */
    const procinspect_process_list *list;
    assert_int_equal(procinspect_process_list_read(context, NULL, &list, NULL), PROCINSPECT_OK);
    procinspect_process_list_free(list);
    assert_int_equal(questions.count, 1); /* not for listings */
    procinspect_process_free(process);
    procinspect_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_scope),
        cmocka_unit_test(what_the_kernel_refuses),
        cmocka_unit_test(own_scope_of_an_ordinary_user),
        cmocka_unit_test(environments_have_to_be_allowed),
        cmocka_unit_test(the_host_is_asked),
        cmocka_unit_test(the_host_is_not_asked_what_it_forbade),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
