/* SPDX-License-Identifier: MIT */
#include "model/registers.h"

uint64_t pi_registers_instruction_pointer(pi_architecture architecture,
                                          const pi_registers *registers) {
    return architecture == PI_ARCHITECTURE_AMD64 ? registers->amd64.rip : registers->arm64.pc;
}
