/* A member that SIGKILL doesn't end, because it waits in the kernel for a file system that doesn't
 * answer: it is told of, the others are ended, and it ends when the file system does.
 */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>

#include "kill/stuck_tree.h"

static void check_item(const stuck_tree *tree, const procinspect_kill_item *item) {
    assert_string_equal(item->name, "stuck");
    if (item->pid != tree->stuck) {
        assert_int_equal(item->outcome, PROCINSPECT_KILL_ENDED);
        assert_null(item->text);
        return;
    }
    assert_int_equal(item->outcome, PROCINSPECT_KILL_SURVIVED);
    assert_non_null(strstr(item->text, "SIGKILL was sent"));
    assert_non_null(strstr(item->text, "state D"));
    assert_int_equal(tree_state(item->pid, NULL), 'D');
}

static void end_stuck(const char *which, uint32_t grace_ms) {
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    options.timeout_ms =
        6000; /* waited for in full; the others' ends take time on a busy machine */
    options.grace_ms = grace_ms;
    stuck_tree tree = {0};
    static tree_log log;
    tree_run run = {.log = &log, .witnesses = {tree_start_witness()}};
    bool is_started = stuck_tree_start(&tree, which);
    run.root = tree.root;
    run.witnesses[1] = tree_start_witness();
    if (!is_started) {
        tree_end_witnesses(&run);
        skip();
    }
    const procinspect_kill_report *report = tree_end(&run, &options);
    assert_int_equal(report->count - report->escaped_count, 3);
    assert_int_equal(report->survived_count, 1);
    assert_int_equal(report->ended_count, 2);
    assert_int_equal(report->refused_count, 0);
    for (size_t i = 0; i < 3; i++)
        check_item(&tree, report->items[i]);
    assert_int_equal(report->items[0]->pid, tree.root);
    procinspect_kill_report_free(report);
    assert_true(tree_end_witnesses(&run));
    assert_true(stuck_tree_let_go(&tree));
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

static void a_member_in_state_d_survives(void **state) {
    (void)state;
    end_stuck("child", 0);
}

static void a_root_in_state_d_survives_a_grace_too(void **state) {
    (void)state;
    end_stuck("root", 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_in_state_d_survives),
        cmocka_unit_test(a_root_in_state_d_survives_a_grace_too),
    };
    return cmocka_run_group_tests(tests, tree_run_setup, NULL);
}
