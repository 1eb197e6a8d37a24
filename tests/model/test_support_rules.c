/* SPDX-License-Identifier: MIT */
#include "model/support_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define AUTO_LOAD "/usr/share/gdb/auto-load"

/* All places of all rules for a module, one a line. */
static void places_of(const char *module, char *text, size_t capacity) {
    char path[300];
    text[0] = '\0';
    for (size_t i = 0; i < pi_support_rule_count; i++)
        for (size_t j = 0; j < PI_SUPPORT_PLACES; j++)
            if (pi_support_rule_applies(&pi_support_rules[i], module) &&
                pi_support_place(&pi_support_rules[i], j, module, path, sizeof path)) {
                size_t length = strlen(text);
                snprintf(text + length, capacity - length, "%s %s\n", pi_support_rules[i].runtime,
                         path);
            }
}

static void each_module_has_its_places(void **state) {
    (void)state;
    static const struct {
        const char *module;
        const char *places;
    } cases[] = {
        {"/opt/dotnet/8.0.1/libcoreclr.so",
         ".NET /opt/dotnet/8.0.1/libmscordaccore.so\n"
         ".NET /opt/dotnet/8.0.1/libmscordbi.so\n"
         "gdb script /opt/dotnet/8.0.1/libcoreclr.so-gdb.py\n"
         "gdb script " AUTO_LOAD "/opt/dotnet/8.0.1/libcoreclr.so-gdb.py\n"},
        {"/jdk/lib/server/libjvm.so", "JVM /jdk/lib/libsaproc.so\n"
                                      "gdb script /jdk/lib/server/libjvm.so-gdb.py\n"
                                      "gdb script " AUTO_LOAD "/jdk/lib/server/libjvm.so-gdb.py\n"},
        {"/usr/bin/python3.11", "CPython /usr/bin/python3.11-gdb.py\n"
                                "CPython " AUTO_LOAD "/usr/bin/python3.11-gdb.py\n"
                                "gdb script /usr/bin/python3.11-gdb.py\n"
                                "gdb script " AUTO_LOAD "/usr/bin/python3.11-gdb.py\n"},
        {"/l/libpython3.11.so.1.0", "CPython /l/libpython3.11.so.1.0-gdb.py\n"
                                    "CPython " AUTO_LOAD "/l/libpython3.11.so.1.0-gdb.py\n"
                                    "gdb script /l/libpython3.11.so.1.0-gdb.py\n"
                                    "gdb script " AUTO_LOAD "/l/libpython3.11.so.1.0-gdb.py\n"},
        {"/libjvm.so", "JVM /libsaproc.so\n"
                       "gdb script /libjvm.so-gdb.py\n"
                       "gdb script " AUTO_LOAD "/libjvm.so-gdb.py\n"},
        {"/a/%p%d", "gdb script /a/%p%d-gdb.py\n"
                    "gdb script " AUTO_LOAD "/a/%p%d-gdb.py\n"},
        {"/a/.x", "gdb script /a/.x-gdb.py\ngdb script " AUTO_LOAD "/a/.x-gdb.py\n"},
        {"linux-gate.so", ""}, /* the vDSO */
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1000];
        places_of(cases[i].module, text, sizeof text);
        assert_string_equal(text, cases[i].places);
    }
}

static void what_has_no_room_is_no_place(void **state) {
    (void)state;
    char path[12];
    for (size_t capacity = 1; capacity <= sizeof path; capacity++) {
        memset(path, '?', sizeof path);
        bool has_room =
            pi_support_place(&(pi_support_rule){.places = {"%d/xyz"}}, 0, "/abc/d", path, capacity);
        assert_int_equal(has_room, capacity > strlen("/abc/xyz"));
        assert_string_equal(has_room ? path : "", has_room ? "/abc/xyz" : "");
        assert_int_equal(capacity < sizeof path ? path[capacity] : '?', '?');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_module_has_its_places),
        cmocka_unit_test(what_has_no_room_is_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
