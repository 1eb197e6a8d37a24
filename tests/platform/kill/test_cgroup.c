/* SPDX-License-Identifier: MIT */
/* Which line of /proc/PID/cgroup tells of a process's service, on recorded texts. */
#include "platform/linux/kill/cgroup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SERVICE "/system.slice/app.service"
#define CONTAINER "/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void the_line_that_tells_most_is_picked(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *line; /* NULL: none tells anything */
    } files[] = {
        /* version 2 */
        {"0::" SERVICE "\n", "0::" SERVICE},
        {"0::/\n", NULL},
        {"0::/../other\n", "0::/../other"},
        /* version 1 beside version 2, as systemd mounts them */
        {"5:memory:" SERVICE "\n1:name=systemd:" SERVICE "\n0::" SERVICE "\n", "0::" SERVICE},
        {"5:memory:/x\n1:name=systemd:" SERVICE "\n0::/\n", "1:name=systemd:" SERVICE},
        {"5:memory:/x\n4:cpu,cpuacct:/y\n1:name=systemd:/\n0::/\n", "5:memory:/x"},
        {"5:memory:/\n4:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n", NULL},
        /* version 1 alone */
        {"3:cpuset:/\n2:freezer:" CONTAINER "\n1:name=openrc:/app\n", "1:name=openrc:/app"},
        {"3:cpuset:/\n2:freezer:" CONTAINER "\n", "2:freezer:" CONTAINER},
        /* a path may hold colons and spaces */
        {"0::/a:b c/d\n", "0::/a:b c/d"},
        /* what isn't whole tells nothing */
        {"", NULL},
        {"\n", NULL},
        {"0::", NULL},
        {"0::/app", NULL},
        {"2:freezer:/app\n1:name=systemd:/ap", "2:freezer:/app"},
        {"0:/app\n::\n:::\n0::app\n", NULL},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const char *line = NULL;
        size_t length = pi_kill_pick_cgroup(files[i].text, strlen(files[i].text), &line);
        if (files[i].line == NULL) {
            assert_int_equal(length, 0);
            continue;
        }
        assert_int_equal(length, strlen(files[i].line));
        assert_memory_equal(line, files[i].line, length);
        assert_true(
            pi_kill_has_cgroup(files[i].text, strlen(files[i].text), files[i].line, length));
    }
}

static void a_line_is_there_whole_or_not_at_all(void **state) {
    (void)state;
    static const char text[] =
        "2:memory:/app\n1:name=systemd:/app/worker\n0::/app.service\n0::/cut";
    static const char *const absent[] = {
        "0::/app", "0::/app.service/x", "2:memory:/ap", "memory:/app", "0::/cut", "1:memory:/app",
    };
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        assert_false(pi_kill_has_cgroup(text, sizeof text - 1, absent[i], strlen(absent[i])));
    assert_true(pi_kill_has_cgroup(text, sizeof text - 1, "0::/app.service", 15));
    assert_true(pi_kill_has_cgroup(text, sizeof text - 1, "2:memory:/app", 13));
    assert_false(pi_kill_has_cgroup("", 0, "0::/app", 7));
}

static void the_path_is_behind_the_second_colon(void **state) {
    (void)state;
    assert_string_equal(pi_kill_cgroup_path("0::/app"), "/app");
    assert_string_equal(pi_kill_cgroup_path("12:name=systemd:/a:b"), "/a:b");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_that_tells_most_is_picked),
        cmocka_unit_test(a_line_is_there_whole_or_not_at_all),
        cmocka_unit_test(the_path_is_behind_the_second_colon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
