/* SPDX-License-Identifier: MIT */
#include "platform/linux/blocked_at.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void both_pointers_are_told(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t stack, instruction;
    } cases[] = {
        {"230 0x0 0x0 0x7ffc2f5fe0f0 0x0 0x1 0x2 0x7ffc2f5fe0b8 0x7f0c9d2c0f1a\n", 0x7ffc2f5fe0b8,
         0x7f0c9d2c0f1a},
        {"-1 0x7ffc2f5fe0b8 0x401000\n", 0x7ffc2f5fe0b8, 0x401000},
        {"0 0x1 0xffffffffffffffff 0x0\n", UINT64_MAX, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t stack = 1, instruction = 2;
        assert_true(pi_blocked_at(cases[i].text, strlen(cases[i].text), &stack, &instruction));
        assert_int_equal(stack, cases[i].stack);
        assert_int_equal(instruction, cases[i].instruction);
    }
}

static void what_is_no_such_text_tells_nothing(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "running\n",
        "running 0x1 0x2", /* cut */
        "0x1 0x2\n",
        "230 0x1 2\n",
        "230 1 0x2\n",
        "230 0x 0x2\n",
        "230 0x1 0x2 \n",
        "230 0x1 0x10000000000000000\n",
        "230 0x1 0x2g\n",
        "0x1\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint64_t stack = 1, instruction = 2;
        assert_false(pi_blocked_at(texts[i], strlen(texts[i]), &stack, &instruction));
        assert_int_equal(stack, 1);
        assert_int_equal(instruction, 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_pointers_are_told),
        cmocka_unit_test(what_is_no_such_text_tells_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
