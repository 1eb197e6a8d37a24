/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void *tell_mask(void *mask) {
    pthread_sigmask(SIG_SETMASK, NULL, mask);
    return mask;
}

static void signals_are_for_the_others(void **state) {
    (void)state;
    sigset_t before, inside, after;
    pthread_t thread;
    void *answer;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_true(pi_thread_start(&thread, tell_mask, &inside));
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(pthread_join(thread, &answer), 0);
    assert_ptr_equal(answer, &inside);
    for (int number = 1; number < SIGRTMAX; number++) {
        /* libc keeps the two below SIGRTMIN for itself. */
        if (number != SIGKILL && number != SIGSTOP && (number < 32 || number >= SIGRTMIN))
            assert_int_equal(sigismember(&inside, number), 1);
        assert_int_equal(sigismember(&after, number), sigismember(&before, number));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_are_for_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
