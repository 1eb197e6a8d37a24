/* SPDX-License-Identifier: MIT */
#ifndef PI_BASE_THREAD_H
#define PI_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Starts a thread of the library's in the host's process: with all signals blocked, which are for
 * the host's own threads, and a small stack. False where the system has no more to give. */
bool pi_thread_start(pthread_t *thread, void *(*run)(void *user), void *user);

#endif
