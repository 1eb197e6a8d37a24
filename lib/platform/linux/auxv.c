/* SPDX-License-Identifier: MIT */
#include "platform/linux/auxv.h"

#include <elf.h>

#include "model/elf.h"

static pi_auxv parse(const unsigned char *bytes, size_t length, size_t word) {
    pi_auxv auxv = {0};
    for (size_t at = 0; length - at >= 2 * word; at += 2 * word) {
        const unsigned char *entry = bytes + at;
        uint64_t type = word == 8 ? pi_elf_u64(entry) : pi_elf_u32(entry);
        uint64_t value = word == 8 ? pi_elf_u64(entry + 8) : pi_elf_u32(entry + 4);
        if (type == AT_NULL)
            break;
        if (type == AT_ENTRY)
            auxv.entry = value;
        else if (type == AT_SYSINFO_EHDR)
            auxv.vdso = value;
        else if (type == AT_PHENT)
            auxv.program_header_size = value;
    }
    return auxv;
}

pi_auxv pi_auxv_parse(const void *bytes, size_t length) {
    /* Read with the wrong word size, no type makes sense: every program has an entry. */
    pi_auxv auxv = parse(bytes, length, 8);
    return auxv.entry != 0 ? auxv : parse(bytes, length, 4);
}
