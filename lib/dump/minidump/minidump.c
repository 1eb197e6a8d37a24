/* SPDX-License-Identifier: MIT */
#include "dump/minidump/minidump.h"

#include <assert.h>

enum { STREAM_ALIGNMENT = 4 };

/* Of a thread's stack: what a function may use below its stack pointer is taken, too. The code that
 * it runs is often that of others as well, and takes nothing then. */
enum { LEAST_STACK_BYTES = 128 };

/* SystemInfo, MiscInfo, ThreadNames, ModuleList, ThreadList, MemoryList. */
enum { ALWAYS_WRITTEN = 6 };

static const uint64_t header_stream_count = 8, header_directory_rva = 12;

pi_location pi_minidump_location(pi_minidump *minidump, uint64_t begin) {
    pi_layout *layout = &minidump->layout;
    /* Both ends are below 4 GiB, so the size fits too. */
    uint32_t end = pi_layout_rva(layout, layout->position);
    uint32_t rva = pi_layout_rva(layout, begin);
    return (pi_location){.size_bytes = end < rva ? 0 : end - rva, .rva = rva};
}

void pi_minidump_put_location(pi_minidump *minidump, pi_location location) {
    pi_layout_u32(&minidump->layout, location.size_bytes);
    pi_layout_u32(&minidump->layout, location.rva);
}

void pi_minidump_add_stream(pi_minidump *minidump, uint32_t type, uint64_t begin) {
    assert(minidump->stream_count < minidump->directory_count);
    minidump->streams[minidump->stream_count].type = type;
    minidump->streams[minidump->stream_count].location = pi_minidump_location(minidump, begin);
    minidump->stream_count++;
    pi_layout_align(&minidump->layout, STREAM_ALIGNMENT);
}

static uint32_t unix_seconds(int64_t unix_ns) {
    int64_t seconds = unix_ns / 1000000000;
    return seconds < 0 ? 0 : (uint32_t)(seconds & UINT32_MAX);
}

static void begin_file(pi_minidump *minidump) {
    pi_layout *layout = &minidump->layout;
    pi_layout_begin(layout, minidump->snapshot->source);
    pi_layout_u32(layout, PI_MINIDUMP_SIGNATURE);
    pi_layout_u32(layout, PI_MINIDUMP_VERSION);
    pi_layout_u32(layout, 0); /* stream count and directory, set by end_file */
    pi_layout_u32(layout, 0);
    pi_layout_u32(layout, 0); /* checksum: none */
    pi_layout_u32(layout, unix_seconds(minidump->snapshot->captured_at_unix_ns));
    pi_layout_u64(layout, minidump->snapshot->report.effective_type);
    pi_layout_zeros(layout, minidump->directory_count * PI_MINIDUMP_DIRECTORY_ENTRY_BYTES);
}

static void end_file(pi_minidump *minidump) {
    pi_layout *layout = &minidump->layout;
    assert(layout->failure != 0 || minidump->stream_count == minidump->directory_count);
    pi_layout_set_u32(layout, header_stream_count, minidump->stream_count);
    pi_layout_set_u32(layout, header_directory_rva, PI_MINIDUMP_HEADER_BYTES);
    uint64_t entry = PI_MINIDUMP_HEADER_BYTES;
    for (uint32_t i = 0; i < minidump->stream_count; i++) {
        pi_layout_set_u32(layout, entry, minidump->streams[i].type);
        pi_layout_set_u32(layout, entry + 4, minidump->streams[i].location.size_bytes);
        pi_layout_set_u32(layout, entry + 8, minidump->streams[i].location.rva);
        entry += PI_MINIDUMP_DIRECTORY_ENTRY_BYTES;
    }
}

int pi_minidump_asks_for(const pi_snapshot *snapshot, uint32_t type_bit) {
    return (snapshot->report.effective_type & type_bit) != 0;
}

/* Those that the type adds. */
static uint32_t asked_stream_count(const pi_snapshot *snapshot) {
    return (uint32_t)(pi_snapshot_has_full_memory(snapshot) +
                      pi_minidump_asks_for(snapshot, PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA) +
                      pi_minidump_asks_for(snapshot, PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY_INFO) +
                      pi_minidump_asks_for(snapshot, PROCINSPECT_DUMP_TYPE_WITH_THREAD_INFO));
}

static void write_those(pi_minidump *minidump, int comes_first) {
    for (size_t i = 0; i < minidump->placement.count; i++) {
        const pi_placed_range *item = &minidump->placement.items[i];
        if (item->comes_first != comes_first)
            continue;
        assert(minidump->layout.failure != 0 || minidump->layout.position == item->position);
        pi_layout_memory(&minidump->layout, item->range);
    }
}

/* The lists that point to it, and the memory. */
static void write_memory(pi_minidump *minidump) {
    pi_layout *layout = &minidump->layout;
    if (!pi_placement_make(minidump->snapshot, layout->position, &minidump->placement)) {
        pi_layout_fail(layout, PROCINSPECT_ERROR_NO_MEMORY);
        return;
    }
    pi_write_thread_list(minidump);
    pi_write_memory_list(minidump);
    pi_write_memory64_list(minidump);
    pi_layout_align(layout, PI_MINIDUMP_DATA_ALIGNMENT);
    write_those(minidump, 1);
    write_those(minidump, 0);
    pi_placement_free(&minidump->placement);
}

int32_t pi_minidump_lay_out(const pi_snapshot *snapshot, const pi_dump_texts *texts,
                            uint64_t max_bytes, pi_image **image, procinspect_error *error) {
    static const pi_dump_texts none = {0};
    pi_minidump minidump = {.snapshot = snapshot, .texts = texts != NULL ? *texts : none};
    minidump.directory_count = ALWAYS_WRITTEN + pi_text_stream_count(snapshot) +
                               (minidump.texts.report.length != 0 ? 1 : 0) +
                               (minidump.texts.soft_errors.length != 0 ? 1 : 0);
    minidump.directory_count += asked_stream_count(snapshot);
    begin_file(&minidump);
    pi_write_system_info(&minidump);
    pi_write_misc_info(&minidump);
    pi_write_thread_names(&minidump);
    pi_write_module_list(&minidump);
    pi_write_text_streams(&minidump);
    pi_write_dump_texts(&minidump);
    pi_write_handle_data(&minidump);
    pi_write_memory_info_list(&minidump);
    pi_write_thread_info_list(&minidump);
    pi_layout_align(&minidump.layout, PI_MINIDUMP_DATA_ALIGNMENT);
    pi_write_contexts(&minidump);
    write_memory(&minidump);
    end_file(&minidump);
    return pi_layout_finish(&minidump.layout, max_bytes, image, error);
}

uint64_t pi_minidump_least_bytes(const pi_snapshot *beforehand) {
    uint64_t thread_bytes = PI_MINIDUMP_THREAD_BYTES +
                            pi_context_size_bytes(beforehand->architecture) +
                            PI_MINIDUMP_MEMORY_DESCRIPTOR_BYTES;
    /* What more the type takes is all of its memory in a full dump, stacks included. */
    uint64_t memory_bytes = beforehand->thread_count * LEAST_STACK_BYTES;
    if (memory_bytes < beforehand->report.memory_bytes)
        memory_bytes = beforehand->report.memory_bytes;
    /* And those about the dump. */
    uint64_t streams = ALWAYS_WRITTEN + pi_text_stream_count(beforehand) + 2;
    streams += asked_stream_count(beforehand);
    uint64_t text_bytes = 0;
    for (size_t i = 0; i < PI_TEXT_COUNT; i++)
        text_bytes += beforehand->texts[i].length;
    uint64_t asked_bytes = pi_handle_data_least_bytes(beforehand) +
                           pi_memory_info_list_least_bytes(beforehand) +
                           pi_thread_info_list_least_bytes(beforehand);
    return PI_MINIDUMP_HEADER_BYTES + streams * PI_MINIDUMP_DIRECTORY_ENTRY_BYTES + text_bytes +
           asked_bytes + beforehand->thread_count * thread_bytes + memory_bytes;
}
