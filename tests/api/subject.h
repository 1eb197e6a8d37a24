/* SPDX-License-Identifier: MIT */
#ifndef TESTS_API_SUBJECT_H
#define TESTS_API_SUBJECT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>
#include <procinspect.h>

#include "folders.h"

/* What the tests of enumeration look at. Everything fails the test that calls it where it finds
 * what it should not. */

#define RECORDED TESTS_SOURCE_DIR "/fixtures/proc-recorded"

/* root NULL: the running system. */
procinspect_context *context_of(const char *root, uint32_t allow, uint32_t user_scope);
procinspect_process *process_of(const procinspect_context *context, int32_t pid);
const procinspect_process_info *info_of(const procinspect_context *context, int32_t pid,
                                        uint64_t members);

/* The item of a list with this pid, NULL for none. */
const procinspect_process_info *item_of(const procinspect_process_list *list, int32_t pid);

/* Why these members are unknown: the one entry that has all of them. */
const procinspect_unavailable *reason_of(const procinspect_process_info *info, uint64_t members);

/* A child that runs body (which may return: the child then waits) and has said that it is ready. */
pid_t child_start(void (*body)(void));
void child_end(pid_t pid);

/* The calling process's open descriptors. */
int open_descriptors(void);

#endif
