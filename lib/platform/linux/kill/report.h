/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_KILL_REPORT_H
#define PI_PLATFORM_LINUX_KILL_REPORT_H

#include "base/arena.h"
#include "platform/linux/kill/tree.h"
#include "platform/linux/linux.h"

/* The error that says why, of a tree whose refusal isn't PI_KILL_ACCEPTED; its code. */
int32_t pi_kill_refused(const pi_process *process, const pi_kill_tree *tree,
                        procinspect_error *error);

/* What became of each member, and who may have escaped; in the arena. Errors: NO_MEMORY. */
int32_t pi_kill_fill_report(pi_kill_tree *tree, pi_arena *arena, procinspect_kill_report *report,
                            procinspect_error *error);

#endif
