/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_TRACE_REGISTER_SETS_H
#define PI_PLATFORM_LINUX_TRACE_REGISTER_SETS_H

#include <stdbool.h>
#include <stddef.h>

#include "model/registers.h"

/*
 * Registers as Linux hands them out, to tracers (PTRACE_GETREGSET) and in core files: `general` is
 * the set NT_PRSTATUS, `floating` the set NT_PRFPREG. False where they have not the size that the
 * architecture's sets have; *registers is untouched then.
 */
bool pi_registers_from_sets_amd64(const void *general, size_t general_size, const void *floating,
                                  size_t floating_size, pi_registers *registers);
bool pi_registers_from_sets_arm64(const void *general, size_t general_size, const void *floating,
                                  size_t floating_size, pi_registers *registers);

#endif
