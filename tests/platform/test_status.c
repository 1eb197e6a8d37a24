/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include <cmocka.h>
#include <procinspect/thread.h>

#include "platform/linux/status.h"
#include "platform/linux/wait_reason.h"

static const char recorded[] = "Name:\tbash\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4242\n"
                               "Ngid:\t0\nPid:\t4243\nPPid:\t1\nTracerPid:\t17\n"
                               "Uid:\t0\t0\t0\t0\nGroups:\t0 \nVmPeak:\t    8172 kB\n"
                               "VmSize:\t    8168 kB\nVmLck:\t       0 kB\nVmHWM:\t    5220 kB\n"
                               "VmRSS:\t    5216 kB\nRssAnon:\t    1716 kB\nVmData:\t    1840 kB\n"
                               "VmStk:\t     132 kB\nVmSwap:\t       4 kB\nThreads:\t1\n";
enum { ALL = 0xff };

static pi_status parse(const char *text, size_t length) {
    char *exact = malloc(length == 0 ? 1 : length);
    memcpy(exact, text, length);
    pi_status status;
    memset(&status, 0xff, sizeof status);
    pi_status_parse(exact, length, &status);
    free(exact);
    return status;
}

static void a_recorded_file(void **state) {
    (void)state;
    pi_status status = parse(recorded, sizeof recorded - 1);
    assert_int_equal(status.known, ALL);
    assert_int_equal(status.thread_group_id, 4242);
    assert_int_equal(status.tracer_pid, 17);
    assert_int_equal(status.vm_peak_bytes, 8172 * 1024);
    assert_int_equal(status.vm_size_bytes, 8168 * 1024);
    assert_int_equal(status.vm_hwm_bytes, 5220 * 1024);
    assert_int_equal(status.vm_rss_bytes, 5216 * 1024);
    assert_int_equal(status.vm_data_bytes, 1840 * 1024);
    assert_int_equal(status.vm_swap_bytes, 4 * 1024);
}

/* What was cut is unknown, never a shorter number. */
static void a_file_that_was_cut(void **state) {
    (void)state;
    for (size_t length = 0; length < sizeof recorded; length++) {
        pi_status status = parse(recorded, length);
        assert_true((status.known & PI_STATUS_TGID) == 0 || status.thread_group_id == 4242);
        assert_true((status.known & PI_STATUS_TRACER) == 0 || status.tracer_pid == 17);
        assert_true((status.known & PI_STATUS_VM_SIZE) == 0 || status.vm_size_bytes == 8168 * 1024);
        assert_true((status.known & PI_STATUS_VM_SWAP) == 0 || status.vm_swap_bytes == 4 * 1024);
        assert_int_equal((status.known & PI_STATUS_TGID) != 0,
                         length > (size_t)(strstr(recorded, "\nNgid") - recorded));
    }
}

static void numbers_at_and_beyond_their_limits(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t known;
        uint64_t size_bytes;
    } cases[] = {
        {"VmSize:\t18014398509481983 kB\n", PI_STATUS_VM_SIZE, UINT64_MAX - 1023},
        {"VmSize:\t18014398509481984 kB\n", 0, 0},
        {"VmSize:\t99999999999999999999 kB\n", 0, 0},
        {"VmSize:\t1 MB\n", 0, 0},
        {"VmSize:\t1\n", 0, 0},
        {"VmSize:\t1 kBx\n", 0, 0},
        {"VmSize:\t-1 kB\n", 0, 0},
        {"VmSize:\n", 0, 0},
        {"VmSize:", 0, 0},
        {" VmSize:\t1 kB\n", 0, 0},
        {"xVmSize:\t1 kB\n", 0, 0},
        {"VmSize:\t1 kB\nVmSize:\t2 kB\n", PI_STATUS_VM_SIZE, 1024},
        {"Tgid:\t2147483648\n", 0, 0},
        {"Tgid:\t-1\n", 0, 0},
        {"Tgid:\t1 2\n", 0, 0},
        {"\n\n\n", 0, 0},
        {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pi_status status = parse(cases[i].text, strlen(cases[i].text));
        assert_int_equal(status.known, cases[i].known);
        assert_true(status.vm_size_bytes == cases[i].size_bytes);
    }
    assert_int_equal(parse("Tgid:\t2147483647\n", 17).thread_group_id, INT32_MAX);
}

/* The kernel escapes newlines in a name; its text may look like a line of ours still. */
static void a_name_forges_no_line(void **state) {
    (void)state;
    static const char text[] = "Name:\tx\\nTgid:\t1\nTgid:\t2\n";
    assert_int_equal(parse(text, sizeof text - 1).thread_group_id, 2);
}

static void wait_reasons(void **state) {
    (void)state;
    char delay[32], clock_delay[32], other[32];
    snprintf(delay, sizeof delay, "%d 0x1 0x2\n", SYS_nanosleep);
    snprintf(clock_delay, sizeof clock_delay, "%d 0x0\n", SYS_clock_nanosleep);
    snprintf(other, sizeof other, "%d1 0x0\n", SYS_nanosleep);
    const struct {
        char state;
        const char *system_call;
        uint32_t reason;
    } cases[] = {
        {'S', delay, PROCINSPECT_WAIT_DELAY},
        {'D', delay, PROCINSPECT_WAIT_DELAY},
        {'S', clock_delay, PROCINSPECT_WAIT_DELAY},
        {'S', other, PROCINSPECT_WAIT_UNKNOWN},
        {'S', "", PROCINSPECT_WAIT_UNKNOWN},
        {'S', "running\n", PROCINSPECT_WAIT_UNKNOWN},
        {'S', "-1 0x7ffc 0x7f\n", PROCINSPECT_WAIT_UNKNOWN},
        {'S', "99999999999999999999999 0\n", PROCINSPECT_WAIT_UNKNOWN},
        {'T', delay, PROCINSPECT_WAIT_SUSPENDED},
        {'t', "", PROCINSPECT_WAIT_SUSPENDED},
        {'R', delay, PROCINSPECT_WAIT_NONE},
        {'Z', "", PROCINSPECT_WAIT_NONE},
        {'X', "", PROCINSPECT_WAIT_NONE},
        {'x', "", PROCINSPECT_WAIT_NONE},
        {'I', delay, PROCINSPECT_WAIT_UNKNOWN},
        {'P', "", PROCINSPECT_WAIT_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(
            pi_wait_reason(cases[i].state, cases[i].system_call, strlen(cases[i].system_call)),
            cases[i].reason);
    /* Cut within the number it is no number. */
    assert_int_equal(pi_wait_reason('S', delay, 2), PROCINSPECT_WAIT_UNKNOWN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recorded_file),
        cmocka_unit_test(a_file_that_was_cut),
        cmocka_unit_test(numbers_at_and_beyond_their_limits),
        cmocka_unit_test(a_name_forges_no_line),
        cmocka_unit_test(wait_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
