/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "platform/linux/trace/register_sets.h"

/* struct user_pt_regs and struct user_fpsimd_state of arm64, which only its headers have. */
typedef struct general_set {
    uint64_t x[31];
    uint64_t sp;
    uint64_t pc;
    uint64_t pstate;
} general_set;

typedef struct floating_set {
    unsigned char v[32][16];
    uint32_t fpsr;
    uint32_t fpcr;
    uint32_t reserved[2];
} floating_set;

bool pi_registers_from_sets_arm64(const void *general, size_t general_size, const void *floating,
                                  size_t floating_size, pi_registers *registers) {
    if (general_size != sizeof(general_set) || floating_size != sizeof(floating_set))
        return false;
    general_set from;
    floating_set from_floating;
    memcpy(&from, general, sizeof from);
    memcpy(&from_floating, floating, sizeof from_floating);
    pi_registers_arm64 *arm64 = &registers->arm64;
    memset(arm64, 0, sizeof *arm64);
    memcpy(arm64->x, from.x, sizeof arm64->x);
    arm64->sp = from.sp;
    arm64->pc = from.pc;
    arm64->pstate = (uint32_t)from.pstate;
    memcpy(arm64->v, from_floating.v, sizeof arm64->v);
    arm64->fpsr = from_floating.fpsr;
    arm64->fpcr = from_floating.fpcr;
    return true;
}
