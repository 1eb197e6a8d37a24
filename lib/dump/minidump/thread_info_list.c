/* SPDX-License-Identifier: MIT */
#include "dump/minidump/minidump.h"

/* Windows' time, a FILETIME: 100 ns since 1601. */
static const uint64_t windows_ticks_of_1970 = UINT64_C(116444736000000000);
static const uint64_t tick_ns = 100;

static int asked(const pi_snapshot *snapshot) {
    return pi_minidump_asks_for(snapshot, PROCINSPECT_DUMP_TYPE_WITH_THREAD_INFO);
}

/* An instant before 1970 is none. */
static uint64_t file_time(int64_t unix_ns) {
    return unix_ns < 0 ? 0 : windows_ticks_of_1970 + (uint64_t)unix_ns / tick_ns;
}

static uint32_t flags_of(const pi_thread_snapshot *thread) {
    return (thread->has_registers ? 0 : PI_THREAD_INFO_ERROR_THREAD) |
           (thread->is_caller ? PI_THREAD_INFO_WRITING_THREAD : 0) |
           (thread->has_times ? 0 : PI_THREAD_INFO_INVALID_INFO);
}

static void put_thread(pi_layout *layout, const pi_thread_snapshot *thread) {
    pi_layout_u32(layout, (uint32_t)thread->tid);
    pi_layout_u32(layout, flags_of(thread));
    pi_layout_u32(layout, thread->has_registers ? 0 : PI_RESULT_FAILED);
    pi_layout_u32(layout, PI_THREAD_INFO_STILL_ACTIVE);
    pi_layout_u64(layout, thread->has_times ? file_time(thread->start_time_unix_ns) : 0);
    pi_layout_u64(layout, 0); /* when it ended */
    pi_layout_u64(layout, thread->has_times ? thread->kernel_cpu_ns / tick_ns : 0);
    pi_layout_u64(layout, thread->has_times ? thread->user_cpu_ns / tick_ns : 0);
    pi_layout_u64(layout, 0); /* where it began: not known */
    pi_layout_u64(layout, thread->has_affinity ? thread->affinity : 0);
}

/* Unlike ThreadList it has the threads without registers, too: its flags say so. */
void pi_write_thread_info_list(pi_minidump *minidump) {
    const pi_snapshot *snapshot = minidump->snapshot;
    pi_layout *layout = &minidump->layout;
    if (!asked(snapshot))
        return;
    uint32_t count = 0;
    for (size_t i = 0; i < snapshot->thread_count; i++)
        count += pi_thread_is_repeated(snapshot, i) ? 0 : 1;
    pi_layout_align(layout, 4);
    uint64_t begin = layout->position;
    pi_layout_u32(layout, PI_MINIDUMP_THREAD_INFO_HEADER_BYTES);
    pi_layout_u32(layout, PI_MINIDUMP_THREAD_INFO_BYTES);
    pi_layout_u32(layout, count);
    for (size_t i = 0; i < snapshot->thread_count; i++)
        if (!pi_thread_is_repeated(snapshot, i))
            put_thread(layout, &snapshot->threads[i]);
    pi_minidump_add_stream(minidump, PI_STREAM_THREAD_INFO_LIST, begin);
}

uint64_t pi_thread_info_list_least_bytes(const pi_snapshot *beforehand) {
    return asked(beforehand)
               ? PI_MINIDUMP_THREAD_INFO_HEADER_BYTES +
                     (uint64_t)beforehand->thread_count * PI_MINIDUMP_THREAD_INFO_BYTES
               : 0;
}
