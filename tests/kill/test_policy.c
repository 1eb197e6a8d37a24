/* The host's policy is asked before a tree is touched, about its root alone; what it refuses runs
 * on. */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { CHILDREN = 3, MOST_QUESTIONS = 8 };

typedef struct questions {
    procinspect_access asked[MOST_QUESTIONS];
    size_t count;
    bool refuses_kill;
    bool was_elsewhere; /* on another thread than the call's */
    pthread_t thread;
} questions;

static int32_t answer(void *user, const procinspect_access *access) {
    questions *heard = user;
    if (heard->count < MOST_QUESTIONS)
        heard->asked[heard->count] = *access;
    heard->count++;
    heard->was_elsewhere |= pthread_equal(pthread_self(), heard->thread) == 0;
    return access->action == PROCINSPECT_ACTION_KILL && heard->refuses_kill ? 1 : 0;
}

static procinspect_context *context_that_asks(questions *heard, uint32_t allow) {
    procinspect_context_options options;
    procinspect_context *context = NULL;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = allow;
    options.authorize = answer;
    options.authorize_user = heard;
    heard->thread = pthread_self();
    assert_int_equal(procinspect_context_new(&options, &context, NULL), PROCINSPECT_OK);
    return context;
}

static procinspect_process *open_process(procinspect_context *context, pid_t pid) {
    procinspect_process *process = NULL;
    assert_int_equal(procinspect_process_open(context, pid, &process, NULL), PROCINSPECT_OK);
    return process;
}

/* The last of them is about ending the root. */
static void check_questions(const questions *heard, size_t count, pid_t root) {
    assert_int_equal(heard->count, count);
    assert_false(heard->was_elsewhere);
    assert_int_equal(heard->asked[0].action, PROCINSPECT_ACTION_LOOK);
    assert_int_equal(heard->asked[count - 1].action, PROCINSPECT_ACTION_KILL);
    assert_int_equal(heard->asked[count - 1].pid, root);
    assert_int_equal(heard->asked[count - 1].user_id, geteuid());
    assert_int_equal(heard->asked[count - 1].reserved, 0);
}

static void check_untouched(const tree_run *run) {
    for (int i = 0; i < 1 + CHILDREN; i++) {
        assert_true(tree_goes_on(run->log->processes[i].pid));
        assert_false(tree_is_traced(run->log->processes[i].pid));
    }
}

static void the_callback_refuses_and_agrees(void **state) {
    (void)state;
    static const uint32_t flags[] = {0, PROCINSPECT_KILL_ONLY_CHECK};
    tree_run run;
    bool witnesses_are_well;
    tree_start(&run, NULL, "wide", CHILDREN);
    questions heard = {.refuses_kill = true};
    procinspect_context *context = context_that_asks(&heard, PROCINSPECT_ALLOW_KILL);
    procinspect_process *process = open_process(context, run.root);
    const procinspect_kill_report *report = NULL;
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    for (size_t i = 0; i < 2; i++) {
        procinspect_error error = {0};
        options.flags = flags[i];
        assert_int_equal(procinspect_kill_tree(process, &options, &report, &error),
                         PROCINSPECT_ERROR_POLICY);
        assert_int_equal(error.code, PROCINSPECT_ERROR_POLICY);
        assert_non_null(strstr(error.message, "authorize callback said no"));
        assert_null(report);
        check_questions(&heard, 2 + i, run.root);
        check_untouched(&run);
    }
    heard.refuses_kill = false;
    assert_int_equal(procinspect_kill_tree(process, NULL, &report, NULL), PROCINSPECT_OK);
    check_questions(&heard, 4, run.root); /* and not about the members */
    assert_int_equal(report->ended_count, 1 + CHILDREN);
    assert_int_equal(tree_clear(&run, report->read_at_ns, &witnesses_are_well), 0);
    assert_true(witnesses_are_well);
    procinspect_kill_report_free(report);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

static void what_is_not_allowed_is_not_asked_about(void **state) {
    (void)state;
    tree_run run;
    bool witnesses_are_well;
    tree_start(&run, NULL, "wide", CHILDREN);
    questions heard = {0};
    procinspect_context *context =
        context_that_asks(&heard, PROCINSPECT_ALLOW_DUMP | PROCINSPECT_ALLOW_ENVIRONMENT);
    procinspect_process *process = open_process(context, run.root);
    const procinspect_kill_report *report = NULL;
    procinspect_error error = {0};
    assert_int_equal(procinspect_kill_tree(process, NULL, &report, &error),
                     PROCINSPECT_ERROR_POLICY);
    assert_non_null(strstr(error.message, "PROCINSPECT_ALLOW_KILL"));
    assert_null(report);
    assert_int_equal(heard.count, 1);
    check_untouched(&run);
    procinspect_process_free(process);
    procinspect_context_free(context);
    assert_true(tree_clear(&run, 0, &witnesses_are_well) >= 1 + CHILDREN);
    assert_true(witnesses_are_well);
}

/* A recorded tree says nothing of who has these numbers now. */
static void another_proc_root_can_only_be_looked_at(void **state) {
    (void)state;
    procinspect_context_options options;
    procinspect_context *context = NULL;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_KILL;
    options.user_scope = PROCINSPECT_USER_SCOPE_ALL;
    options.proc_root = TESTS_SOURCE_DIR "/fixtures/proc-recorded";
    assert_int_equal(procinspect_context_new(&options, &context, NULL), PROCINSPECT_OK);
    procinspect_process *process = open_process(context, 17);
    const procinspect_kill_report *report = NULL;
    procinspect_error error = {0};
    assert_int_equal(procinspect_kill_tree(process, NULL, &report, &error),
                     PROCINSPECT_ERROR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "proc_root"));
    assert_null(report);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_callback_refuses_and_agrees),
        cmocka_unit_test(what_is_not_allowed_is_not_asked_about),
        cmocka_unit_test(another_proc_root_can_only_be_looked_at),
    };
    return cmocka_run_group_tests(tests, tree_run_setup, NULL);
}
