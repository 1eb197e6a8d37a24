/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_TRACE_STOP_THREADS_H
#define PI_PLATFORM_LINUX_TRACE_STOP_THREADS_H

#include "platform/linux/trace/stop.h"

/* Which threads the process has; between the files of trace/stop.h. */

/* Seizes every thread of the directory that is not in the table yet, and adds it. *added: how many.
 */
pi_stop_result pi_stop_seize_new(pi_stop *stop, uint32_t *added);

/* Calls for each name in the directory until the function says something else than OK. */
pi_stop_result pi_stop_list(pi_stop *stop,
                            pi_stop_result (*visit)(pi_stop *stop, const char *name,
                                                    void *argument),
                            void *argument);

/* 0 for what is no thread's name. */
int32_t pi_stop_parse_tid(const char *name);

/* Seizes this one only, where it is a thread of the process, and adds it. */
pi_stop_result pi_stop_seize_one(pi_stop *stop, int32_t tid);

/* The beginning of a file of a thread's; its length, or a negative errno. */
long pi_stop_read_thread_file(const pi_stop *stop, int32_t tid, const char *name, char *text,
                              size_t capacity);

/* The value behind this key in a thread's status, as pi_helper_find_value gives it. */
long pi_stop_find_status_value(const pi_stop *stop, int32_t tid, const char *key, char *value,
                               size_t capacity);

/* Where a link of a thread's leads to; its length, or a negative errno. */
long pi_stop_read_thread_link(const pi_stop *stop, int32_t tid, const char *name, char *target,
                              size_t capacity);

/* True where the process certainly has no thread that is not accounted for. */
bool pi_stop_has_all(const pi_stop *stop);

/* Lets go of a seized thread that runs, and is in no table. */
void pi_stop_let_go(pi_stop *stop, int32_t tid);

/* The thread's state letter; 0 where it has none any more, '?' where it can't be read. */
char pi_stop_os_state(const pi_stop *stop, int32_t tid);

#endif
