/* SPDX-License-Identifier: MIT */
/* What is said of a process that could not be captured in time: the cause, and what helps. */
#include "platform/linux/capture/by_copy.h"
#include "platform/linux/capture/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

/* Of three threads these are what a helper has left. */
static void assert_said(pi_hold *hold, const char *cause, const char *remedy) {
    pi_process process = {.pid = 4242};
    pi_capture_request request = {.max_pause_ms = 5};
    pi_capture_state capture = {.process = &process, .request = &request};
    procinspect_error error;
    hold->result = PI_HOLD_TOO_LATE;
    assert_int_equal(pi_capture_judge(&capture, hold, &error), PROCINSPECT_ERROR_TIMED_OUT);
    assert_int_equal(error.code, PROCINSPECT_ERROR_TIMED_OUT);
    assert_non_null(strstr(error.message, "process 4242"));
    if (strstr(error.message, cause) == NULL || strstr(error.message, remedy) == NULL)
        fail_msg("%s", error.message);
}

static void a_thread_that_does_not_stop(void **state) {
    (void)state;
    pi_stop_thread threads[3] = {
        {.state = PI_STOP_STANDS}, {.state = PI_STOP_SEIZED}, {.state = PI_STOP_STANDS}};
    pi_hold hold = {.stop = {.threads = threads, .count = 3, .standing = 2}};
    assert_said(&hold, "1 of the 3 threads", "raise max_pause_ms");
    pi_copy copy = {.failed = PI_FORK_DONE};
    hold.copy = &copy; /* it had not come to a fork */
    assert_said(&hold, "1 of the 3 threads", "raise max_pause_ms");
}

static void threads_that_nothing_stops(void **state) {
    (void)state;
    pi_stop_thread threads[3] = {
        {.state = PI_STOP_RUNS}, {.state = PI_STOP_RUNS}, {.state = PI_STOP_ENDED}};
    pi_hold hold = {.stop = {.threads = threads, .count = 3, .running = 2}};
    assert_said(&hold, "2 of the 3 threads", "Try again when that is over");
}

/* The thread is led into the fork and counts as one that runs, or none was in time for that. */
static void a_fork_that_is_not_done(void **state) {
    (void)state;
    pi_stop_thread threads[3] = {
        {.state = PI_STOP_STANDS}, {.state = PI_STOP_SEIZED}, {.state = PI_STOP_RUNS}};
    pi_copy copy = {.failed = PI_FORK_TOO_LATE};
    pi_hold hold = {.stop = {.threads = threads, .count = 3, .standing = 1, .running = 1},
                    .copy = &copy};
    assert_said(&hold, "The fork of process", "raise max_pause_ms");
    assert_said(&hold, "within the 5 ms", "fits hold_buffer_bytes");
    threads[1].state = PI_STOP_STANDS;
    assert_said(&hold, "The fork of process", "raise max_pause_ms");
}

static void memory_that_takes_too_long(void **state) {
    (void)state;
    pi_stop_thread threads[1] = {{.state = PI_STOP_RELEASED}};
    pi_hold hold = {.stop = {.threads = threads, .count = 1}};
    assert_said(&hold, "Taking the memory", "Raise max_pause_ms");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_does_not_stop),
        cmocka_unit_test(threads_that_nothing_stops),
        cmocka_unit_test(a_fork_that_is_not_done),
        cmocka_unit_test(memory_that_takes_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
