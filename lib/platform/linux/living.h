/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_LIVING_H
#define PI_PLATFORM_LINUX_LIVING_H

#include "platform/linux/linux.h"

/*
 * A process whose main thread has ended (pthread_exit in main, say) lives on as long as another
 * thread does. Its files in /proc/PID tell nothing of memory, program and descriptors then; the
 * same files below task/TID of a thread that lives tell all of it. (There is no map_files there.)
 *
 * Who has found nothing in a file asks here whether another thread's may have it, and reads again.
 * So it costs those nothing whose main thread lives.
 */

/* Whose files are read. Zero-initialised: the process's own. */
typedef struct pi_living {
    int32_t tid; /* 0: the process's own, else those below task/TID */
    char state;  /* of that thread, when it was last looked at */
    int turns;
    /* The main thread's stat at the last turn, but for its name; or a negative errno. */
    int main_result;
    pi_stat main;
} pi_living;

enum { PI_LIVING_STANDS = 0, PI_LIVING_TURNED = 1 };

/*
 * TURNED where the thread whose files were read has ended and another lives: *living is that one.
 * STANDS where what was read is what there is. A negative errno: no descriptors, no memory; -EAGAIN
 * where one thread after the other ended. The process's files stand at directory, with the prefix
 * before their names.
 */
int pi_living_turn(int directory, const char *prefix, pi_living *living);

/*
 * The same for a process that is held. *files is a copy of it, whose directory becomes the other
 * thread's: for reading only, since what a failure means is to be asked of the process. Negative
 * codes: NO_MEMORY, NO_RESOURCES, IO. To be closed in any case.
 */
int32_t pi_living_turn_process(const pi_process *process, pi_living *living, pi_process *files,
                               procinspect_error *error);
void pi_living_close(const pi_process *process, pi_process *files);

/* What a reading through the files of a thread has come to: may it be that thread's end? */
bool pi_living_may_help(int32_t code);

/* True where the process has a thread that lives, be it the main thread or another. */
bool pi_living_has_any(const pi_process *process);

/* 0 while any thread of the process lives, else GONE or REPLACED: a zombie is gone, too. */
int32_t pi_living_check(const pi_process *process, procinspect_error *error);

#endif
