/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <procinspect.h>

#include "folders.h"

/* A process that executes itself without pause: in the middle of that it shows nothing. What is
 * empty then says why. */

#define EXECS_PROGRAM TESTS_BUILD_DIR "/targets/execs"

enum { READINGS = 2000 };

static procinspect_context *context;
static procinspect_process *process;
static pid_t target;

static int start(void **state) {
    (void)state;
    procinspect_context_options options;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_ENVIRONMENT;
    procinspect_error error;
    target = fork();
    if (target == 0) {
        const char *const environment[] = {"CITY=Amsterdam", NULL};
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        execle(EXECS_PROGRAM, "execs", "main", (char *)NULL, environment);
        _exit(127);
    }
    return target < 0 || procinspect_context_new(&options, &context, &error) != 0 ||
           procinspect_process_open(context, target, &process, &error) != 0;
}

static int end(void **state) {
    (void)state;
    procinspect_process_free(process);
    procinspect_context_free(context);
    return target <= 0 || kill(target, SIGKILL) != 0 || waitpid(target, NULL, 0) != target;
}

static void check_failure(const procinspect_error *error) {
    if (error->code != PROCINSPECT_ERROR_IO || error->os_errno != EBUSY)
        fail_msg("%s", error->message);
}

static void modules(void **state) {
    (void)state;
    procinspect_module_query query;
    procinspect_module_query_init(&query, sizeof query);
    int succeeded = 0;
    for (int i = 0; i < READINGS; i++) {
        const procinspect_module_list *list;
        procinspect_error error;
        if (procinspect_module_list_read(process, &query, &list, &error) != PROCINSPECT_OK) {
            check_failure(&error);
            continue;
        }
        assert_int_not_equal(list->count, 0);
        procinspect_module_list_free(list);
        succeeded++;
    }
    assert_true(succeeded > READINGS / 2);
}

static void the_environment(void **state) {
    (void)state;
    int succeeded = 0;
    for (int i = 0; i < READINGS; i++) {
        const procinspect_environment *environment;
        procinspect_error error;
        if (procinspect_environment_read(process, NULL, &environment, &error) != PROCINSPECT_OK) {
            check_failure(&error);
            continue;
        }
        assert_int_equal(environment->count, 1);
        assert_string_equal(environment->items[0]->value, "Amsterdam");
        procinspect_environment_free(environment);
        succeeded++;
    }
    assert_true(succeeded > READINGS / 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modules),
        cmocka_unit_test(the_environment),
    };
    return cmocka_run_group_tests(tests, start, end);
}
