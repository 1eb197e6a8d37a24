/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_MODULE_INFO_H
#define PI_PLATFORM_LINUX_MODULE_INFO_H

#include "platform/linux/module_object.h"

/*
 * Fills what `members` asks for of the object at hand: all of *info but base, size and flags, which
 * are for the mapping to say. `opened` is what pi_elf_open answered. The path is the object's or,
 * with is_vdso, the vDSO's customary one. False where the arena can't give more.
 */
bool pi_module_info_fill(pi_module_object *object, const pi_elf *elf, pi_elf_answer opened,
                         bool is_vdso, uint64_t members, pi_arena *arena,
                         procinspect_module_info *info);

#endif
