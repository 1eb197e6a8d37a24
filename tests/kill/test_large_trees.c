/* Large trees are ended whole, and nothing beside them is touched. */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { MANY = 1000 };

static void a_chain_of_500(void **state) {
    (void)state;
    for (int i = tree_runs(2, MANY); i > 0; i--)
        tree_end_whole("deep", 500, 501, 0);
}

static void two_thousand_members(void **state) {
    (void)state;
    for (int i = tree_runs(1, MANY); i > 0; i--)
        tree_end_whole("wide", 2000, 2001, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_of_500),
        cmocka_unit_test(two_thousand_members),
    };
    return cmocka_run_group_tests(tests, tree_run_setup_waiting_for_none, NULL);
}
