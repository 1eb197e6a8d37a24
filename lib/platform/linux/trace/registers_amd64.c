/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "platform/linux/trace/register_sets.h"

/* struct user_regs_struct of x86-64, which only that architecture's headers have: 64 bits each. */
enum {
    R15,
    R14,
    R13,
    R12,
    RBP,
    RBX,
    R11,
    R10,
    R9,
    R8,
    RAX,
    RCX,
    RDX,
    RSI,
    RDI,
    ORIG_RAX,
    RIP,
    CS,
    EFLAGS,
    RSP,
    SS,
    FS_BASE,
    GS_BASE,
    DS,
    ES,
    FS,
    GS,
    GENERAL_COUNT
};

bool pi_registers_from_sets_amd64(const void *general, size_t general_size, const void *floating,
                                  size_t floating_size, pi_registers *registers) {
    uint64_t set[GENERAL_COUNT];
    pi_registers_amd64 *amd64 = &registers->amd64;
    if (general_size != sizeof set || floating_size != sizeof amd64->fxsave)
        return false;
    memcpy(set, general, sizeof set);
    *amd64 = (pi_registers_amd64){
        .rax = set[RAX],
        .rbx = set[RBX],
        .rcx = set[RCX],
        .rdx = set[RDX],
        .rsi = set[RSI],
        .rdi = set[RDI],
        .rbp = set[RBP],
        .rsp = set[RSP],
        .r8 = set[R8],
        .r9 = set[R9],
        .r10 = set[R10],
        .r11 = set[R11],
        .r12 = set[R12],
        .r13 = set[R13],
        .r14 = set[R14],
        .r15 = set[R15],
        .rip = set[RIP],
        .eflags = (uint32_t)set[EFLAGS],
        .cs = (uint16_t)set[CS],
        .ds = (uint16_t)set[DS],
        .es = (uint16_t)set[ES],
        .fs = (uint16_t)set[FS],
        .gs = (uint16_t)set[GS],
        .ss = (uint16_t)set[SS],
        .fs_base = set[FS_BASE],
        .gs_base = set[GS_BASE],
    };
    memcpy(amd64->fxsave, floating, sizeof amd64->fxsave);
    return true;
}
