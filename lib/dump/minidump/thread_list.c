/* SPDX-License-Identifier: MIT */
#include "dump/minidump/minidump.h"

/* The snapshot has the main thread first, then ascending tids, so a repeated one stands beside its
 * like or is the main thread's. */
int pi_thread_is_repeated(const pi_snapshot *snapshot, size_t index) {
    const pi_thread_snapshot *thread = &snapshot->threads[index];
    return index != 0 && (thread->tid == snapshot->threads[0].tid || thread->tid == thread[-1].tid);
}

/*
 * The list has the threads whose registers are known: one without a context would read as one that
 * stands at address 0. A repeated tid makes readers reject the whole list.
 */
int pi_thread_is_listed(const pi_snapshot *snapshot, size_t index) {
    return snapshot->threads[index].has_registers && !pi_thread_is_repeated(snapshot, index);
}

static uint32_t listed_count(const pi_snapshot *snapshot) {
    uint32_t count = 0;
    for (size_t i = 0; i < snapshot->thread_count; i++)
        count += pi_thread_is_listed(snapshot, i) ? 1 : 0;
    return count;
}

uint64_t pi_thread_list_size_bytes(const pi_snapshot *snapshot) {
    return 4 + (uint64_t)listed_count(snapshot) * PI_MINIDUMP_THREAD_BYTES;
}

uint32_t pi_context_size_bytes(pi_architecture architecture) {
    return architecture == PI_ARCHITECTURE_AMD64 ? PI_MINIDUMP_CONTEXT_AMD64_BYTES
                                                 : PI_MINIDUMP_CONTEXT_ARM64_BYTES;
}

void pi_write_contexts(pi_minidump *minidump) {
    const pi_snapshot *snapshot = minidump->snapshot;
    int amd64 = snapshot->architecture == PI_ARCHITECTURE_AMD64;
    minidump->first_context.rva = pi_layout_rva(&minidump->layout, minidump->layout.position);
    minidump->first_context.size_bytes = pi_context_size_bytes(snapshot->architecture);
    for (size_t i = 0; i < snapshot->thread_count; i++) {
        if (!pi_thread_is_listed(snapshot, i))
            continue;
        if (amd64)
            pi_write_context_amd64(&minidump->layout, &snapshot->threads[i].registers.amd64);
        else
            pi_write_context_arm64(&minidump->layout, &snapshot->threads[i].registers.arm64);
    }
}

/* A stack is described where the memory list has it, without a copy of its own: as far as that
 * goes. */
static void put_stack(pi_minidump *minidump, pi_memory_range stack) {
    pi_layout *layout = &minidump->layout;
    pi_location location = {0};
    const pi_placed_range *placed =
        stack.size_bytes == 0 ? NULL : pi_placement_find(&minidump->placement, stack.address);
    if (placed != NULL) {
        uint64_t skipped = stack.address - placed->range.address;
        uint64_t size = placed->range.size_bytes - skipped;
        size = size < stack.size_bytes ? size : stack.size_bytes;
        location.size_bytes =
            size < PI_READER_MAX_REGION_BYTES ? (uint32_t)size : PI_READER_MAX_REGION_BYTES;
        location.rva = pi_layout_rva(layout, placed->position + skipped);
    }
    pi_layout_u64(layout, location.size_bytes == 0 ? 0 : stack.address);
    pi_minidump_put_location(minidump, location);
}

void pi_write_thread_list(pi_minidump *minidump) {
    const pi_snapshot *snapshot = minidump->snapshot;
    pi_layout *layout = &minidump->layout;
    uint64_t begin = layout->position;
    pi_location context = minidump->first_context;
    pi_layout_u32(layout, listed_count(snapshot));
    for (size_t i = 0; i < snapshot->thread_count; i++) {
        if (!pi_thread_is_listed(snapshot, i))
            continue;
        const pi_thread_snapshot *thread = &snapshot->threads[i];
        int amd64 = snapshot->architecture == PI_ARCHITECTURE_AMD64;
        pi_layout_u32(layout, (uint32_t)thread->tid);
        pi_layout_u32(layout, 0); /* suspend count */
        pi_layout_u32(layout, 0); /* priority class: Windows only */
        pi_layout_u32(layout, (uint32_t)thread->priority);
        /* The thread control block: the base of fs, which the context has no place for. */
        pi_layout_u64(layout, amd64 ? thread->registers.amd64.fs_base : 0);
        put_stack(minidump, thread->stack);
        pi_minidump_put_location(minidump, context);
        context.rva += context.size_bytes;
    }
    pi_minidump_add_stream(minidump, PI_STREAM_THREAD_LIST, begin);
}
