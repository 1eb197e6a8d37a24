/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_COPY_H
#define PI_PLATFORM_LINUX_CAPTURE_COPY_H

#include "platform/linux/capture/fork.h"

/*
 * Zombies of copies; between the files of capture/fork.h. A child of the process's own may have no
 * exit signal, too, and it must not be taken from it. A copy is told by its end: with
 * PI_INJECT_ORPHAN_STATUS, by itself; or by SIGKILL, and then it has this score.
 */
#define PI_COPY_OOM_MARK "1000"

enum { PI_COPY_PATH_BYTES = 48, PI_COPY_MOST_OLD = 16 };

/* "1234/oom_score_adj" of pid and "/oom_score_adj" */
void pi_copy_path(char path[PI_COPY_PATH_BYTES], int32_t pid, const char *file);

/* Makes it the first to go where memory is short. */
bool pi_copy_mark_for_oom(const pi_helper *helper, int proc, int32_t pid);

/* The number of the copy in the process's own pid namespace, 0 where that can't be told. */
int32_t pi_copy_number_in_target(const pi_fork *fork);

/* Has the process wait for these children, by their numbers in its own pid namespace: how many are
 * left. is_patient: tries again for some seconds where others have its threads. */
uint32_t pi_copy_reap(pi_fork *fork, const int32_t *pids, uint32_t count, bool is_patient);

#endif
