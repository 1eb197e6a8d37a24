/* SPDX-License-Identifier: MIT */
#include "platform/linux/smaps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool take(pi_smaps_mapping *mapping, const char *line) {
    return pi_smaps_take_line(mapping, line, strlen(line));
}

static void a_mapping_is_complete_with_its_flags(void **state) {
    (void)state;
    static const struct {
        const char *flags;
        bool is_dontdump;
    } cases[] = {
        {"VmFlags: rd wr mr mw me dd ac", true},
        {"VmFlags: rd wr mr mw me dd ", true},
        {"VmFlags: dd", true},
        {"VmFlags: rd wr mr mw me ac sd ", false},
        {"VmFlags: rd d dd", false},
        {"VmFlags:", false},
        {"VmFlags: d", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pi_smaps_mapping mapping = {0};
        assert_false(take(&mapping, "7f00a000-7f00c000 rw-p 00000000 00:00 0 [anon: VmFlags: dd]"));
        assert_false(take(&mapping, "Size:                  8 kB"));
        assert_false(take(&mapping, "Private_Dirty:         0 kB"));
        assert_true(take(&mapping, cases[i].flags));
        assert_int_equal(mapping.start, 0x7f00a000);
        assert_int_equal(mapping.end, 0x7f00c000);
        assert_int_equal(mapping.is_dontdump, cases[i].is_dontdump);
    }
}

static void one_mapping_says_nothing_of_the_next(void **state) {
    (void)state;
    pi_smaps_mapping mapping = {0};
    take(&mapping, "1000-2000 rw-p 00000000 00:00 0 ");
    assert_true(take(&mapping, "VmFlags: rd dd "));
    assert_true(mapping.is_dontdump);
    take(&mapping, "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]");
    assert_true(take(&mapping, "VmFlags: ex "));
    assert_int_equal(mapping.start, UINT64_C(0xffffffffff600000));
    assert_false(mapping.is_dontdump);
}

static void what_is_no_such_line_is_passed_over(void **state) {
    (void)state;
    static const char *const lines[] = {
        "",
        "-",
        "1000",
        "1000-",
        "1000-2000",
        "2000-1000 rw-p",
        "1000-1000 rw-p",
        "x000-2000 rw-p",
        "1000-2000rw-p",
        "11112222333344445-2 rw-p",
    };
    pi_smaps_mapping mapping = {0};
    assert_false(take(&mapping, "VmFlags: dd")); /* of none */
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_false(take(&mapping, lines[i]));
        assert_int_equal(mapping.end, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mapping_is_complete_with_its_flags),
        cmocka_unit_test(one_mapping_says_nothing_of_the_next),
        cmocka_unit_test(what_is_no_such_line_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
