/* SPDX-License-Identifier: MIT */
#include "platform/linux/affinity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static pi_affinity parse(const char *status) {
    return pi_affinity_parse(status, strlen(status));
}

static void processors_are_bits(void **state) {
    (void)state;
    static const struct {
        const char *mask;
        uint64_t processors;
        bool has_more;
    } cases[] = {
        {"1", 1, false},
        {"3", 3, false},
        {"00", 0, false},
        {"ff", 255, false},
        {"fff", 4095, false},
        {"ffffffff", 0xffffffff, false},
        {"1,00000000", UINT64_C(1) << 32, false},
        {"80000000,00000005", UINT64_C(0x8000000000000005), false},
        {"00000000,00000000,00000000,00000007", 7, false},
        {"1,00000000,00000002", 2, true},
        {"80000000,00000000,00000000,00000000", 0, true},
        {"ffffffff,ffffffff,ffffffff", UINT64_MAX, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[128] = "Name:\ta\nCpus_allowed:\t";
        strcat(strcat(text, cases[i].mask), "\nCpus_allowed_list:\t9-12\n");
        pi_affinity affinity = parse(text);
        assert_true(affinity.is_known);
        if (affinity.processors != cases[i].processors || affinity.has_more != cases[i].has_more)
            fail_msg("%s: %llx", cases[i].mask, (unsigned long long)affinity.processors);
    }
}

static void what_is_no_mask_is_not_known(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "Cpus_allowed",
        "Cpus_allowed:\t",
        "Cpus_allowed:\t\n",
        "Cpus_allowed:\t3",
        "Cpus_allowed:\t3 \n",
        "Cpus_allowed:\t0x3\n",
        "Cpus_allowed:\tF\n",
        "Cpus_allowed:\t-1\n",
        "Cpus_allowed: 3\n",
        "Cpus_allowed_list:\t3\n",
        "Name:\tCpus_allowed:\t3\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        pi_affinity affinity = parse(texts[i]);
        if (affinity.is_known || affinity.processors != 0 || affinity.has_more)
            fail_msg("%s", texts[i]);
    }
}

static void the_first_line_counts(void **state) {
    (void)state;
    assert_true(parse("Cpus_allowed:\t2\nCpus_allowed:\t1\n").processors == 2);
    assert_false(parse("Cpus_allowed:\tx\nCpus_allowed:\t1\n").is_known);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processors_are_bits),
        cmocka_unit_test(what_is_no_mask_is_not_known),
        cmocka_unit_test(the_first_line_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
