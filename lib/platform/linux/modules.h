/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_MODULES_H
#define PI_PLATFORM_LINUX_MODULES_H

#include "platform/platform.h"

/* What a capture took while the process stood still, or before. */
typedef struct pi_modules_captured {
    pi_bytes maps; /* the text of /proc/PID/maps */
    pi_bytes auxv;
    int root;                                     /* O_PATH, of the process's mount namespace */
    const procinspect_cancellation *cancellation; /* nullable: CANCELLED */
} pi_modules_captured;

/*
 * All modules of a capture, as pi_modules_read gives them. The ELF objects are read now, from their
 * files or the running process; where the process has ended meanwhile, from what files there are.
 */
int32_t pi_modules_from_captured(const pi_process *process, const pi_modules_captured *captured,
                                 uint64_t members, pi_arena *arena, procinspect_module_list *list,
                                 procinspect_error *error);

#endif
