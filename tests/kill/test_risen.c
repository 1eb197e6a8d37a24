/* Members that become another user's after the check, so that they can't be signalled any more:
 * they are told of and run on, and the others are ended. */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Long enough for SIGTERM to be heeded on a busy machine; what is refused is waited for as long. */
enum { FEW = 1, MANY = 20, NOBODY = 65534, RISERS = 2, GRACE_MS = 4000 };

static void check_risers(const tree_run *run, const procinspect_kill_report *report) {
    assert_int_equal(report->count - report->escaped_count, 1 + RISERS);
    assert_int_equal(report->items[0]->pid, run->root);
    assert_int_equal(report->items[0]->outcome, PROCINSPECT_KILL_ENDED);
    assert_null(report->items[0]->text);
    assert_int_equal(report->ended_count, 1);
    assert_int_equal(report->survived_count, 0);
    assert_int_equal(report->refused_count, RISERS);
    for (size_t i = 1; i <= RISERS; i++) {
        const procinspect_kill_item *item = report->items[i];
        assert_int_equal(item->outcome, PROCINSPECT_KILL_REFUSED);
        assert_non_null(strstr(item->text, strerrordesc_np(EPERM)));
        assert_non_null(strstr(item->text, "became another user's after the check"));
        assert_non_null(strstr(item->text, "CAP_KILL"));
        assert_true(tree_goes_on(item->pid));
        assert_false(tree_is_traced(item->pid));
    }
}

static void end_tree_of_risers(const char *program) {
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    options.grace_ms = GRACE_MS;
    tree_run run;
    bool witnesses_are_well;
    assert_int_equal(setresuid(NOBODY, NOBODY, 0), 0);
    tree_start(&run, program, "risers", RISERS);
    const procinspect_kill_report *report = tree_end(&run, &options);
    assert_int_equal(setresuid(0, 0, 0), 0);
    check_risers(&run, report);
    assert_true(tree_clear(&run, report->read_at_ns, &witnesses_are_well) >= RISERS);
    assert_true(witnesses_are_well);
    procinspect_kill_report_free(report);
}

static void members_that_become_root(void **state) {
    (void)state;
    char program[64];
    snprintf(program, sizeof program, "/tmp/procinspect-risen-%d", (int)getpid());
    if (!tree_copy_setuid(program))
        skip();
    for (int i = tree_runs(FEW, MANY); i > 0; i--)
        end_tree_of_risers(program);
    unlink(program);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_that_become_root),
    };
    return cmocka_run_group_tests(tests, tree_run_setup_waiting_for_none, NULL);
}
