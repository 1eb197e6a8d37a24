/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include <signal.h>

/* Much more than is needed, for sanitizers' sake; what isn't touched isn't there. */
enum { STACK_BYTES = 256 * 1024 };

bool pi_thread_start(pthread_t *thread, void *(*run)(void *user), void *user) {
    pthread_attr_t attributes;
    sigset_t all_signals, mask_before;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    sigfillset(&all_signals);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all_signals, &mask_before);
    int result = pthread_create(thread, &attributes, run, user);
    pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
    pthread_attr_destroy(&attributes);
    return result == 0;
}
