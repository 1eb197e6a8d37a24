/* SPDX-License-Identifier: MIT */
#include "dump/minidump/minidump.h"

/* CONTEXT of ARM64, in the order of its members. */
void pi_write_context_arm64(pi_layout *layout, const pi_registers_arm64 *registers) {
    pi_layout_u32(layout, PI_CONTEXT_ARM64_FLAGS);
    pi_layout_u32(layout, registers->pstate);
    for (int i = 0; i < 31; i++)
        pi_layout_u64(layout, registers->x[i]);
    pi_layout_u64(layout, registers->sp);
    pi_layout_u64(layout, registers->pc);
    pi_layout_bytes(layout, registers->v, sizeof registers->v);
    pi_layout_u32(layout, registers->fpcr);
    pi_layout_u32(layout, registers->fpsr);
    pi_layout_zeros(layout, 120); /* breakpoints and watchpoints: not flagged */
}
