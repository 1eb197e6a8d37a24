/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_MODULES_H
#define PI_PLATFORM_LINUX_MODULES_H

#include "platform/platform.h"

/*
 * All modules that a text of /proc/PID/maps shows, as pi_modules_read gives them: for a capture,
 * which took the text while the process stood still. The ELF objects are read now, from their files
 * or the running process.
 */
int32_t pi_modules_from_maps(const pi_process *process, const void *maps, size_t maps_length,
                             uint64_t members, pi_arena *arena, procinspect_module_list *list,
                             procinspect_error *error);

#endif
