/* SPDX-License-Identifier: MIT */
#include "platform/linux/descriptor_info.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void flags_are_octal(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t flags;
    } cases[] = {
        {"pos:\t0\nflags:\t0100002\nmnt_id:\t15\nino:\t3\n", 0100002},
        {"flags:\t02\n", 2},
        {"flags:\t0\n", 0},
        {"pos:\t5\nflags:\t012100001\nscm_fds: 0\n", 012100001},
        {"flags:\t01\nflags:\t02\n", 1},
        {"flags:\t1777777777777777777777\n", UINT64_MAX},
        {"flags:\t02\nwhat was cu", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t flags = 99;
        assert_true(pi_descriptor_flags(cases[i].text, strlen(cases[i].text), &flags));
        assert_true(flags == cases[i].flags);
    }
}

static void what_is_none_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "pos:\t0\n",
        "flags:\t\n",
        "flags:\t",
        "flags:\t0",
        "flags:\t08\n",
        "flags: 02\n",
        "flags:\t2 \n",
        "flags:\t-2\n",
        "Flags:\t2\n",
        "flags:\t0x2\n",
        "xflags:\t2\n",
        "flags:\t3777777777777777777777\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint64_t flags = 99;
        if (pi_descriptor_flags(texts[i], strlen(texts[i]), &flags) || flags != 99)
            fail_msg("%s", texts[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_are_octal),
        cmocka_unit_test(what_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
