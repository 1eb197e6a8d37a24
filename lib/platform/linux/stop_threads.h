/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_STOP_THREADS_H
#define PI_PLATFORM_LINUX_STOP_THREADS_H

#include "platform/linux/stop.h"

/* Which threads the process has; between the files of stop.h. */

/* Seizes every thread of the directory that is not in the table yet, and adds it. *added: how many.
 */
pi_stop_result pi_stop_seize_new(pi_stop *stop, uint32_t *added);

/* True where the process certainly has no thread that is not accounted for. */
bool pi_stop_has_all(const pi_stop *stop);

/* Lets go of a seized thread that runs, and is in no table. */
void pi_stop_let_go(pi_stop *stop, int32_t tid);

/* The thread's state letter; 0 where it has none any more, '?' where it can't be read. */
char pi_stop_os_state(const pi_stop *stop, int32_t tid);

#endif
