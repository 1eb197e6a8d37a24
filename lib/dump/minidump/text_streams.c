/* SPDX-License-Identifier: MIT */
#include "dump/minidump/minidump.h"

/* The system's own texts, as they are; in readers' eyes a distribution's os-release is its
 * lsb-release. */
static const struct {
    pi_system_text text;
    uint32_t stream;
} text_streams[] = {
    {PI_TEXT_CPU_INFO, PI_STREAM_LINUX_CPU_INFO},
    {PI_TEXT_STATUS, PI_STREAM_LINUX_STATUS},
    {PI_TEXT_OS_RELEASE, PI_STREAM_LINUX_LSB_RELEASE},
    {PI_TEXT_COMMAND_LINE, PI_STREAM_LINUX_COMMAND_LINE},
    {PI_TEXT_ENVIRONMENT, PI_STREAM_LINUX_ENVIRONMENT},
    {PI_TEXT_AUXILIARY_VECTOR, PI_STREAM_LINUX_AUXILIARY_VECTOR},
    {PI_TEXT_MAPS, PI_STREAM_LINUX_MAPS},
    {PI_TEXT_LIMITS, PI_STREAM_LIMITS},
};

enum { TEXT_STREAM_COUNT = sizeof text_streams / sizeof text_streams[0] };

static pi_bytes text_of(const pi_snapshot *snapshot, size_t index) {
    return snapshot->texts[text_streams[index].text];
}

/* A text that is empty has no stream: there is nothing in it that its absence would not say. */
uint32_t pi_text_stream_count(const pi_snapshot *snapshot) {
    uint32_t count = 0;
    for (size_t i = 0; i < TEXT_STREAM_COUNT; i++)
        count += text_of(snapshot, i).length != 0 ? 1 : 0;
    return count;
}

void pi_write_text_streams(pi_minidump *minidump) {
    for (size_t i = 0; i < TEXT_STREAM_COUNT; i++) {
        pi_bytes text = text_of(minidump->snapshot, i);
        if (text.length == 0)
            continue;
        uint64_t begin = minidump->layout.position;
        pi_layout_borrow(&minidump->layout, text.data, text.length);
        pi_minidump_add_stream(minidump, text_streams[i].stream, begin);
    }
}

static void write_dump_text(pi_minidump *minidump, pi_bytes text, uint32_t stream) {
    if (text.length == 0)
        return;
    uint64_t begin = minidump->layout.position;
    pi_layout_bytes(&minidump->layout, text.data, text.length);
    pi_minidump_add_stream(minidump, stream, begin);
}

void pi_write_dump_texts(pi_minidump *minidump) {
    write_dump_text(minidump, minidump->texts.report, PI_STREAM_REPORT);
    write_dump_text(minidump, minidump->texts.soft_errors, PI_STREAM_SOFT_ERRORS);
}
