/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "api/dump.h"
#include "base/error.h"

/* MINIDUMP_TYPE's names without "MiniDump", bit 0 first. */
static const char *const bit_names[] = {
    "WithDataSegs",
    "WithFullMemory",
    "WithHandleData",
    "FilterMemory",
    "ScanMemory",
    "WithUnloadedModules",
    "WithIndirectlyReferencedMemory",
    "FilterModulePaths",
    "WithProcessThreadData",
    "WithPrivateReadWriteMemory",
    "WithoutOptionalData",
    "WithFullMemoryInfo",
    "WithThreadInfo",
    "WithCodeSegs",
    "WithoutAuxiliaryState",
    "WithFullAuxiliaryState",
    "WithPrivateWriteCopyMemory",
    "IgnoreInaccessibleMemory",
    "WithTokenInformation",
    "WithModuleHeaders",
    "FilterTriage",
    "WithAvxXStateContext",
    "WithIptTrace",
    "ScanInaccessiblePartialPages",
    "FilterWriteCombinedMemory",
};
enum { BIT_COUNT = sizeof bit_names / sizeof bit_names[0] };

/* "0x2 (WithFullMemory), 0x4 (WithHandleData)", as far as it fits. */
static void describe(uint32_t bits, char *text, size_t capacity) {
    int used = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < BIT_COUNT && used >= 0 && (size_t)used < capacity; i++) {
        uint32_t bit = UINT32_C(1) << i;
        if (bits & bit)
            used += snprintf(text + used, capacity - (size_t)used, "%s0x%x (%s)",
                             used == 0 ? "" : ", ", (unsigned)bit, bit_names[i]);
    }
}

int32_t pi_dump_type_check_known(uint32_t type, procinspect_error *error) {
    uint32_t unknown = type & ~PROCINSPECT_DUMP_TYPE_ALL;
    if (unknown == 0)
        return PROCINSPECT_OK;
    return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                        "Dump type 0x%x has bits that no dump type has: 0x%x; the highest is 0x%x.",
                        (unsigned)type, (unsigned)unknown, 1u << (BIT_COUNT - 1));
}

int32_t pi_dump_type_check_supported(uint32_t type, uint32_t supported, procinspect_error *error) {
    uint32_t missing = type & ~supported;
    if (missing == 0)
        return PROCINSPECT_OK;
    char missing_text[160], supported_text[240];
    describe(missing, missing_text, sizeof missing_text);
    describe(supported, supported_text, sizeof supported_text);
    return pi_error_set(error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
                        "Dump type 0x%x asks for what this version cannot do: %s. Ask for what it "
                        "supports: 0 (Normal)%s%s.",
                        (unsigned)type, missing_text, supported == 0 ? "" : ", ", supported_text);
}
