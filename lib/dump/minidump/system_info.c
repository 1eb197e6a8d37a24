/* SPDX-License-Identifier: MIT */
#include "dump/minidump/minidump.h"

#include <string.h>

/* CPUID's leaf 1, EAX, taken apart as its manual says. */
static uint16_t cpu_family(uint32_t version) {
    uint32_t family = version >> 8 & 0xf;
    return (uint16_t)(family == 0xf ? family + (version >> 20 & 0xff) : family);
}

static uint16_t cpu_model_and_stepping(uint32_t version) {
    uint32_t base_family = version >> 8 & 0xf;
    uint32_t model = version >> 4 & 0xf;
    if (base_family == 0x6 || base_family == 0xf)
        model |= (version >> 16 & 0xf) << 4;
    return (uint16_t)(model << 8 | (version & 0xf));
}

void pi_write_system_info(pi_minidump *minidump) {
    const pi_snapshot *snapshot = minidump->snapshot;
    pi_layout *layout = &minidump->layout;
    const char *version = snapshot->system_version == NULL ? "" : snapshot->system_version;
    uint32_t version_rva =
        pi_minidump_put_string(minidump, (pi_bytes){version, strlen(version)}, (pi_bytes){0});
    pi_layout_align(layout, 4);
    uint64_t begin = layout->position;

    pi_layout_u16(layout, snapshot->architecture == PI_ARCHITECTURE_AMD64
                              ? PI_PROCESSOR_ARCHITECTURE_AMD64
                              : PI_PROCESSOR_ARCHITECTURE_ARM64);
    pi_layout_u16(layout, cpu_family(snapshot->cpu.version));
    pi_layout_u16(layout, cpu_model_and_stepping(snapshot->cpu.version));
    pi_layout_u8(layout,
                 snapshot->processor_count > 255 ? 255 : (uint8_t)snapshot->processor_count);
    pi_layout_u8(layout, 0);     /* product type: Windows only */
    pi_layout_zeros(layout, 12); /* version numbers: on Linux readers take them from the text */
    pi_layout_u32(layout, PI_PLATFORM_LINUX);
    pi_layout_u32(layout, version_rva);
    pi_layout_u32(layout, 0); /* suite mask and reserved */
    for (int i = 0; i < 3; i++)
        pi_layout_u32(layout, snapshot->cpu.vendor[i]);
    pi_layout_u32(layout, snapshot->cpu.version);
    pi_layout_u32(layout, snapshot->cpu.features);
    pi_layout_u32(layout, snapshot->cpu.amd_extended_features);
    pi_minidump_add_stream(minidump, PI_STREAM_SYSTEM_INFO, begin);
}
