/* SPDX-License-Identifier: MIT */
#ifndef PI_MODEL_REGISTERS_H
#define PI_MODEL_REGISTERS_H

#include <stdint.h>

/* A thread's registers, in the architecture's own terms and no system's. */
typedef enum pi_architecture {
    PI_ARCHITECTURE_AMD64 = 1,
    PI_ARCHITECTURE_ARM64 = 2
} pi_architecture;

typedef struct pi_registers_amd64 {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rip;
    uint32_t eflags;
    uint16_t cs, ds, es, fs, gs, ss;
    uint64_t fs_base, gs_base;
    unsigned char fxsave[512]; /* the image of the FXSAVE instruction */
} pi_registers_amd64;

typedef struct pi_registers_arm64 {
    uint64_t x[31];
    uint64_t sp, pc;
    uint32_t pstate;
    uint32_t fpsr, fpcr;
    unsigned char v[32][16];
} pi_registers_arm64;

typedef union pi_registers {
    pi_registers_amd64 amd64;
    pi_registers_arm64 arm64;
} pi_registers;

/* What CPUID says, for AMD64: vendor string in the order EBX, EDX, ECX; leaf 1's EAX and EDX; leaf
 * 0x80000001's EDX. All zero elsewhere. */
typedef struct pi_cpu_identity {
    uint32_t vendor[3];
    uint32_t version;
    uint32_t features;
    uint32_t amd_extended_features;
} pi_cpu_identity;

uint64_t pi_registers_instruction_pointer(pi_architecture architecture,
                                          const pi_registers *registers);

#endif
