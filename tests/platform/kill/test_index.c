/* SPDX-License-Identifier: MIT */
/* What was removed leaves room, however many keys come and go. */
#include "platform/linux/kill/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ALIVE = 1000, KEYS = 3 * PI_KILL_INDEX_SLOTS };

static pi_kill_index table;

static void keys_come_and_go(void **state) {
    (void)state;
    for (int32_t key = 1; key <= KEYS; key++) {
        pi_kill_index_set(&table, key, key % ALIVE);
        if (key > ALIVE)
            pi_kill_index_remove(&table, key - ALIVE);
        assert_int_equal(pi_kill_index_find(&table, key), key % ALIVE);
    }
    assert_int_equal(table.used, ALIVE);
    for (int32_t key = KEYS; key > KEYS - ALIVE; key--)
        assert_int_equal(pi_kill_index_find(&table, key), key % ALIVE);
    assert_int_equal(pi_kill_index_find(&table, KEYS - ALIVE), -1);
    for (int32_t key = KEYS; key > KEYS - ALIVE; key -= 2)
        pi_kill_index_remove(&table, key);
    for (int32_t key = KEYS; key > KEYS - ALIVE; key--)
        assert_int_equal(pi_kill_index_find(&table, key), (KEYS - key) % 2 == 0 ? -1 : key % ALIVE);
    pi_kill_index_remove(&table, 0);
    assert_int_equal(table.used, ALIVE / 2);
}

/* Far more keys than first slots among them; which is removed first must not matter. */
static void keys_that_collide(void **state) {
    (void)state;
    static pi_kill_index crowded;
    for (int32_t i = 1; i <= 4000; i++)
        pi_kill_index_set(&crowded, i << 19 | (i & 3), i);
    for (int32_t i = 1; i <= 4000; i += 3)
        pi_kill_index_remove(&crowded, i << 19 | (i & 3));
    for (int32_t i = 1; i <= 4000; i++)
        assert_int_equal(pi_kill_index_find(&crowded, i << 19 | (i & 3)), i % 3 == 1 ? -1 : i);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_and_go),
        cmocka_unit_test(keys_that_collide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
