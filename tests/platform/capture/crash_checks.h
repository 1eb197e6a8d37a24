/* What has to be true of a target whose dumper was killed. */
#ifndef TESTS_PLATFORM_CAPTURE_CRASH_CHECKS_H
#define TESTS_PLATFORM_CAPTURE_CRASH_CHECKS_H

#include "platform/capture/child.h"

/* How often a test kills. */
int crash_count(void);

/* A body for targets: threads that run and threads that call; calls that the kernel doesn't restart
 * may be interrupted, since who is killed repairs nothing. */
void interruptible_body(child_board *board);

/* Copies that were left end by themselves, and at most one zombie stays, which is counted. */
void assert_few_zombies(pid_t pid, int *zombies);

bool is_stopped(pid_t pid);

#endif
