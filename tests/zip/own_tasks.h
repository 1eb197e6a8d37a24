/* SPDX-License-Identifier: MIT */
#ifndef TESTS_ZIP_OWN_TASKS_H
#define TESTS_ZIP_OWN_TASKS_H

#include <stddef.h>

/* Entries of /proc/self/task, and of /proc/self/fd but for the one that counts them. */
size_t own_task_count(void);
size_t own_descriptor_count(void);

/* Fails unless there are so many. A thread that was joined is listed a moment longer. */
void assert_own_tasks(size_t expected);

#endif
