/* SPDX-License-Identifier: MIT */
#ifndef TESTS_API_DUMP_TARGET_H
#define TESTS_API_DUMP_TARGET_H

#include <procinspect.h>

#include <sys/types.h>

/* A process to take dumps of. Everything fails the test that calls it where it finds what it should
 * not. */

enum { TARGET_THREADS = 4 };

extern pid_t target_pid;

/* For cmocka: before and after a group of tests. */
int start_target(void **state);
int end_target(void **state);

/* In a child or a thread. Does not return for NULL. */
void *sleep_for_ever(void *argument);

/* All of its threads in the call that they stay in: one that is on its way there has more on its
 * stack. */
void wait_until_target_is_idle(void);

procinspect_context *context_with(uint32_t allow, uint32_t max_dumps, uint64_t max_bytes);
procinspect_process *open_process(const procinspect_context *context, pid_t pid);
procinspect_dump *capture(const procinspect_process *process);

/* The capture with these options fails so; *error says how. */
void assert_refused(const procinspect_process *process, const procinspect_dump_options *options,
                    int32_t code, procinspect_error *error);

#endif
