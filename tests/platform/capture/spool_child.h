/* SPDX-License-Identifier: MIT */
/* Captures by spool, into a directory of the test's own. */
#ifndef TESTS_PLATFORM_CAPTURE_SPOOL_CHILD_H
#define TESTS_PLATFORM_CAPTURE_SPOOL_CHILD_H

#include "platform/capture/copy_child.h"

enum { SPOOL_DIRECTORY_BYTES = sizeof "/tmp/procinspect-spool-test-XXXXXX" };

extern char spool_directory[SPOOL_DIRECTORY_BYTES];

/* For cmocka's groups. Removing fails where anything is left in it. */
int spool_directory_make(void **state);
int spool_directory_remove(void **state);
size_t spool_entries(void); /* that are in it */

/* Full memory, by spool, into the directory. */
pi_capture_request spool_request(void);

/* For processes that can't use cmocka. */
void spool_expect(const pi_process *process, const pi_capture_request *request, int32_t code,
                  const char *text);

/* In a process of its own, with mounts of its own: `check` is to end well. */
void run_as_host(void (*check)(const pi_process *process), const pi_process *process);

#endif
