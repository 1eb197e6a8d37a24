/* SPDX-License-Identifier: MIT */
/* Why the kernel refused: each cause has its text and its remedy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "platform/linux/capture/refusal.h"

static const char target_status[] = "Name:\tUid: 7 7 7\n"
                                    "Umask:\t0022\n"
                                    "TracerPid:\t4711\n"
                                    "Uid:\t1000\t1001\t1002\t1003\n"
                                    "Gid:\t5\t5\t5\t5\n"
                                    "CapInh:\t0000000000000000\n"
                                    "CapPrm:\t0000000000003000\n"
                                    "CapEff:\t0000000000001000\n"
                                    "Seccomp:\t2\n";

static const char own_status[] = "Name:\thost\n"
                                 "CapPrm:\t00000000000c0000\n"
                                 "CapEff:\t0000000000080000\n"
                                 "Seccomp:\t2\n"
                                 "Seccomp_filters:\t1\n";

/* A process of our own that nothing protects. */
static pi_refusal_facts plain(void) {
    return (pi_refusal_facts){.pid = 99,
                              .os_errno = EPERM,
                              .target_user_ids = {1000, 1000, 1000},
                              .own_user_id = 1000,
                              .target_is_dumpable = true};
}

static void assert_explained(const pi_refusal_facts *facts, int32_t code, const char *cause,
                             const char *remedy) {
    procinspect_error error;
    assert_int_equal(pi_refusal_explain(facts, &error), code);
    assert_int_equal(error.code, code);
    assert_int_equal(error.os_errno, facts->os_errno);
    if (strstr(error.message, cause) == NULL || strstr(error.message, remedy) == NULL)
        fail_msg("no \"%s\" or \"%s\" in: %s", cause, remedy, error.message);
    assert_non_null(strstr(error.message, "99"));
    /* Without somewhere to say it, the code is the same. */
    assert_int_equal(pi_refusal_explain(facts, NULL), code);
}

/* A read is refused for other reasons than tracing: neither another tracer nor Yama matters. */
static void test_reading(void **state) {
    (void)state;
    pi_refusal_facts facts = plain();
    facts.file = "maps";
    facts.target_is_dumpable = false;
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION,
                     "read maps of process 99: it is not dump", "CAP_SYS_PTRACE");
    facts.target_group_ids[1] = 7;
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION, "belongs to group 7", "that group");
    facts.target_user_ids[2] = 8;
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION, "belongs to user 8", "that user");
    facts.own_may_trace = true;
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION, "a security module", "allow the host");
}

static void test_status_files(void **state) {
    pi_refusal_facts facts = {0};
    (void)state;
    pi_refusal_parse_target(target_status, sizeof target_status - 1, &facts);
    assert_int_equal(facts.tracer_pid, 4711);
    assert_int_equal(facts.target_user_ids[0], 1000);
    assert_int_equal(facts.target_user_ids[1], 1001);
    assert_int_equal(facts.target_user_ids[2], 1002);
    assert_int_equal(facts.target_capabilities, 0x3000);
    assert_false(facts.own_may_trace || facts.own_has_seccomp_filter);
    pi_refusal_parse_own(own_status, sizeof own_status - 1, &facts);
    assert_true(facts.own_may_trace && facts.own_has_seccomp_filter);
    assert_int_equal(facts.own_capabilities, 0xc0000);
    assert_true(facts.target_is_filtered && !facts.own_may_suspend_filters);
    static const char administers[] = "CapEff:\t0000000000200000\n";
    pi_refusal_parse_own(administers, sizeof administers - 1, &facts);
    assert_true(facts.own_may_suspend_filters && !facts.own_may_trace);
}

/* A cut line says nothing: half a number is another number. */
static void test_cut_status_files(void **state) {
    (void)state;
    for (size_t length = 0; length < sizeof target_status - 1; length++) {
        pi_refusal_facts facts = {0};
        pi_refusal_parse_target(target_status, length, &facts);
        assert_true(facts.tracer_pid == 0 || facts.tracer_pid == 4711);
        assert_true(facts.target_capabilities == 0 || facts.target_capabilities == 0x3000);
        assert_true(facts.target_user_ids[2] == 0 || facts.target_user_ids[2] == 1002);
    }
}

static void test_causes(void **state) {
    pi_refusal_facts facts = plain();
    (void)state;
    facts.os_errno = ESRCH;
    assert_explained(&facts, PROCINSPECT_ERROR_GONE, "has ended", "list");
    facts = plain();
    facts.tracer_pid = 4711;
    assert_explained(&facts, PROCINSPECT_ERROR_TRACED, "process 4711", "detach");
    facts.tracer_is_own_helper = true;
    assert_explained(&facts, PROCINSPECT_ERROR_TRACED, "helper process 4711", "try again");
    facts = plain();
    facts.target_user_ids[2] = 7;
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION, "user 7", "CAP_SYS_PTRACE");
    facts = plain();
    facts.target_capabilities = 0x3000;
    facts.own_capabilities = 0x1000;
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION, "0x2000", "CAP_SYS_PTRACE");
    facts = plain();
    facts.target_is_dumpable = false;
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION, "not dumpable", "CAP_SYS_PTRACE");
    facts = plain();
    facts.own_has_seccomp_filter = true;
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION, "seccomp", "allow ptrace");
    facts = plain();
    facts.os_errno = ENOSYS;
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION, "seccomp", "allow ptrace");
    facts = plain();
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION, "security module", "allow");
    facts.own_may_trace = true;
    facts.target_user_ids[0] = 0;
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION, "user namespace", "allow");
}

static void test_yama(void **state) {
    pi_refusal_facts facts = plain();
    (void)state;
    facts.yama_scope = 1;
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION, "ptrace_scope is 1", "to 0");
    facts.yama_scope = 2;
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION, "ptrace_scope is 2", "CAP_SYS_PTRACE");
    facts.yama_scope = 3;
    facts.own_may_trace = true;
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION, "ptrace_scope is 3", "restart");
    /* /proc doesn't show it. */
    facts = plain();
    facts.yama_scope = PI_YAMA_SCOPE_UNKNOWN;
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION, "Yama, SELinux", "CAP_SYS_PTRACE");
    /* Another cause that would remain comes first. */
    facts = plain();
    facts.yama_scope = 1;
    facts.target_user_ids[0] = 5;
    assert_explained(&facts, PROCINSPECT_ERROR_PERMISSION, "user 5", "run the host as that user");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_files),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_cut_status_files),
        cmocka_unit_test(test_causes),
        cmocka_unit_test(test_yama),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
