/* SPDX-License-Identifier: MIT */
/* What lines of maps, well-formed and not, say of the memory behind them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "platform/linux/capture/area.h"

static void test_kinds_of_areas(void **state) {
    static const struct {
        const char *line;
        pi_area_kind kind;
    } lines[] = {
        {"1000-2000 rw-p 00000000 00:00 0 \n", PI_AREA_ANONYMOUS},
        {"1000-2000 rw-p 00000000 00:00 0                          [heap]\n", PI_AREA_ANONYMOUS},
        {"1000-2000 rw-p 00000000 00:00 0                          [stack]\n", PI_AREA_ANONYMOUS},
        {"1000-2000 rw-p 00000000 00:00 0    [anon:arena]\n", PI_AREA_ANONYMOUS},
        {"1000-2000 rw-s 00000000 00:00 0    [anon_shmem:x]\n", PI_AREA_SHARED_MEMORY},
        {"1000-2000 rw-p 00000000 00:05 7    /dev/zero\n", PI_AREA_ANONYMOUS},
        {"1000-2000 rw-s 00000000 00:01 7    /dev/zero (deleted)\n", PI_AREA_SHARED_MEMORY},
        {"1000-2000 rw-s 00000000 00:01 7    /memfd:x (deleted)\n", PI_AREA_SHARED_MEMORY},
        {"1000-2000 rw-s 00000000 00:01 7    /SYSV00000000 (deleted)\n", PI_AREA_SHARED_MEMORY},
        {"1000-2000 rw-s 00000000 00:19 7    /dev/shm/sem.x\n", PI_AREA_SHARED_MEMORY},
        {"200000-400000 rw-p 00000000 00:0f 7 /anon_hugepage (deleted)\n", PI_AREA_SHARED_MEMORY},
        {"1000-2000 r-xp 00000000 fe:01 7    /usr/bin/x y (deleted)\n", PI_AREA_FILE},
        {"1000-2000 r--p 00000000 fe:01 7    /developers\n", PI_AREA_FILE},
        {"1000-2000 r-xp 00000000 00:00 0    [vdso]\n", PI_AREA_KERNEL_CODE},
        {"1000-2000 r--p 00000000 00:00 0    [vvar]\n", PI_AREA_NEVER_READ},
        {"1000-2000 r--p 00000000 00:00 0    [vvar_vclock]\n", PI_AREA_NEVER_READ},
        {"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n",
         PI_AREA_NEVER_READ},
        {"1000-2000 rw-s 00000000 00:06 7    /dev/dri/card0\n", PI_AREA_NEVER_READ},
        {"1000-2000 rw-p 00000000 00:06 7    /dev/mem\n", PI_AREA_NEVER_READ},
        {"1000-2000 rw-s 00000000 00:15 7    /sys/devices/pci0000:00/resource0\n",
         PI_AREA_NEVER_READ},
        {"1000-2000 rw-s 00000000 00:0e 7    anon_inode:[perf_event]\n", PI_AREA_NEVER_READ},
        {"1000-2000 rw-s 00000000 00:0e 7    anon_inode:[io_uring]\n", PI_AREA_OTHER},
        {"1000-2000 rw-s 00000000 00:08 7    socket:[4711]\n", PI_AREA_OTHER},
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const char *text = lines[i].line;
        pi_area area;
        if (!pi_area_next(&text, text + strlen(text), &area) || area.kind != lines[i].kind)
            fail_msg("%s: kind %d", lines[i].line, (int)area.kind);
        assert_int_equal(*text, '\0');
    }
}

static void test_what_is_no_line_is_passed_over(void **state) {
    static const char text[] = "\n"
                               "2000-1000 rw-p 00000000 00:00 0 \n"
                               "1000-1000 rw-p 00000000 00:00 0 \n"
                               "11111111111111111-2 rw-p 00000000 00:00 0 \n"
                               "1000-2000 rw-p 00000000 00:00 \n"
                               "1000-2000 rw-p00000000 00:00 0\n"
                               "1000-2000 rw-p 00000000 0000 0\n"
                               "g000-h000 rw-p 00000000 00:00 0\n"
                               "1000-ffffffffffffffff r-xs 00000000 00:00 0\n"
                               "1000-2000 rw-p 00000000 00:00 0";
    (void)state;
    const char *at = text;
    pi_area area;
    assert_true(pi_area_next(&at, text + strlen(text), &area));
    assert_true(area.start == 0x1000 && area.end == UINT64_MAX);
    assert_int_equal(area.permissions, PI_MAPPING_READ | PI_MAPPING_EXECUTE | PI_MAPPING_SHARED);
    assert_false(pi_area_next(&at, text + strlen(text), &area));
    /* Cut anywhere: never beyond the end (the sanitizer looks). */
    for (size_t length = 0; length < sizeof text; length++) {
        char *cut = malloc(length + 1);
        assert_non_null(cut);
        memcpy(cut, text, length);
        cut = realloc(cut, length == 0 ? 1 : length);
        at = cut;
        while (pi_area_next(&at, cut + length, &area))
            assert_true(area.start < area.end && at <= cut + length);
        free(cut);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_of_areas),
        cmocka_unit_test(test_what_is_no_line_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
