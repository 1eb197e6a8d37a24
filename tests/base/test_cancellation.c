/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <pthread.h>

#include <cmocka.h>

#include "base/cancellation.h"

static void once_requested_it_stays_so(void **state) {
    (void)state;
    procinspect_cancellation *cancellation;
    assert_int_equal(procinspect_cancellation_new(&cancellation, NULL), PROCINSPECT_OK);
    assert_false(pi_cancellation_is_requested(cancellation));
    procinspect_cancellation_request(cancellation);
    procinspect_cancellation_request(cancellation);
    assert_true(pi_cancellation_is_requested(cancellation));
    procinspect_cancellation_free(cancellation);
}

static void a_reference_outlives_its_owner(void **state) {
    (void)state;
    procinspect_cancellation *cancellation;
    assert_int_equal(procinspect_cancellation_new(&cancellation, NULL), PROCINSPECT_OK);
    procinspect_cancellation *kept = pi_cancellation_retain(cancellation);
    procinspect_cancellation_request(cancellation);
    procinspect_cancellation_free(cancellation);
    assert_true(pi_cancellation_is_requested(kept));
    procinspect_cancellation_free(kept);
}

static void *request(void *user) {
    procinspect_cancellation_request(user);
    return NULL;
}

static void another_thread_can_request(void **state) {
    (void)state;
    procinspect_cancellation *cancellation;
    assert_int_equal(procinspect_cancellation_new(&cancellation, NULL), PROCINSPECT_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, request, cancellation), 0);
    pthread_join(thread, NULL);
    assert_true(pi_cancellation_is_requested(cancellation));
    procinspect_cancellation_free(cancellation);
}

static void nothing_is_never_requested(void **state) {
    (void)state;
    procinspect_cancellation_request(NULL);
    procinspect_cancellation_free(NULL);
    assert_null(pi_cancellation_retain(NULL));
    assert_false(pi_cancellation_is_requested(NULL));
    procinspect_error error;
    assert_int_equal(procinspect_cancellation_new(NULL, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(pi_error_cancelled(&error), PROCINSPECT_ERROR_CANCELLED);
    assert_int_equal(error.code, PROCINSPECT_ERROR_CANCELLED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_requested_it_stays_so),
        cmocka_unit_test(a_reference_outlives_its_owner),
        cmocka_unit_test(another_thread_can_request),
        cmocka_unit_test(nothing_is_never_requested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
