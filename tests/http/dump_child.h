/* SPDX-License-Identifier: MIT */
/* The dump route on a child. */
#ifndef TESTS_HTTP_DUMP_CHILD_H
#define TESTS_HTTP_DUMP_CHILD_H

#include "http/client.h"

/* Of all tests of a program, between its group's set-up and tear-down. */
extern int dump_child;
int make_dump_child(void **state);
int stop_dump_child(void **state);

/* The letter of the child's state in stat, once it has one of these; '-' where it doesn't get it.
 */
char wait_for_state(const char *letters);

/* The child's route with this query; overwritten by the next call. */
const char *dump_target(const char *query);

/* A handler that allows everything, of the instance abcdefgh. */
procinspect_http *make_permissive(void);

/* GET is refused with this text, and HEAD with the same status. */
void assert_refused(const procinspect_http *http, const char *path, uint32_t status,
                    const char *says);

#endif
