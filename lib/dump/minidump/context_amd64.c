/* SPDX-License-Identifier: MIT */
#include "dump/minidump/minidump.h"

enum { MXCSR_IN_FXSAVE = 24 };

/* CONTEXT of AMD64, in the order of its members. */
void pi_write_context_amd64(pi_layout *layout, const pi_registers_amd64 *registers) {
    pi_layout_zeros(layout, 48); /* P1Home to P6Home */
    pi_layout_u32(layout, PI_CONTEXT_AMD64_FLAGS);
    pi_layout_bytes(layout, registers->fxsave + MXCSR_IN_FXSAVE, 4);
    pi_layout_u16(layout, registers->cs);
    pi_layout_u16(layout, registers->ds);
    pi_layout_u16(layout, registers->es);
    pi_layout_u16(layout, registers->fs);
    pi_layout_u16(layout, registers->gs);
    pi_layout_u16(layout, registers->ss);
    pi_layout_u32(layout, registers->eflags);
    pi_layout_zeros(layout, 48); /* debug registers: not flagged */
    const uint64_t general[] = {
        registers->rax, registers->rcx, registers->rdx, registers->rbx, registers->rsp,
        registers->rbp, registers->rsi, registers->rdi, registers->r8,  registers->r9,
        registers->r10, registers->r11, registers->r12, registers->r13, registers->r14,
        registers->r15, registers->rip,
    };
    for (size_t i = 0; i < sizeof general / sizeof general[0]; i++)
        pi_layout_u64(layout, general[i]);
    pi_layout_bytes(layout, registers->fxsave, sizeof registers->fxsave);
    pi_layout_zeros(layout,
                    464); /* vector registers, debug control and last branches: not flagged */
}
