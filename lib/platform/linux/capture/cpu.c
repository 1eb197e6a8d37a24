/* SPDX-License-Identifier: MIT */
#include <cpuid.h>

#include "platform/linux/capture/parts.h"

enum { LEAF_VENDOR = 0, LEAF_FEATURES = 1 };
#define LEAF_AMD_FEATURES 0x80000001u

void pi_capture_cpu_identity(pi_cpu_identity *identity) {
    unsigned eax, ebx, ecx, edx;
    *identity = (pi_cpu_identity){0};
    if (__get_cpuid(LEAF_VENDOR, &eax, &ebx, &ecx, &edx)) {
        identity->vendor[0] = ebx;
        identity->vendor[1] = edx;
        identity->vendor[2] = ecx;
    }
    if (__get_cpuid(LEAF_FEATURES, &eax, &ebx, &ecx, &edx)) {
        identity->version = eax;
        identity->features = edx;
    }
    if (__get_cpuid(LEAF_AMD_FEATURES, &eax, &ebx, &ecx, &edx))
        identity->amd_extended_features = edx;
}
