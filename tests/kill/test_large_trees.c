/* Large trees are ended whole, and nothing beside them is touched. */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { MANY = 1000 };

static void a_chain_of_500(void **state) {
    (void)state;
    tree_end_each("deep", 500, 501, tree_runs(2, MANY));
}

static void two_thousand_members(void **state) {
    (void)state;
    tree_end_each("wide", 2000, 2001, tree_runs(1, MANY));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_of_500),
        cmocka_unit_test(two_thousand_members),
    };
    return cmocka_run_group_tests(tests, tree_run_setup_waiting_for_none, NULL);
}
