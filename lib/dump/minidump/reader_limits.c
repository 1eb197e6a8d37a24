/* SPDX-License-Identifier: MIT */
#include "dump/reader_limits.h"

#include <stdio.h>

#include "dump/minidump/minidump.h"

int pi_minidump_exceeds_readers(const pi_snapshot *snapshot, char *text, size_t capacity) {
    uint64_t threads = (pi_thread_list_size_bytes(snapshot) - 4) / PI_MINIDUMP_THREAD_BYTES;
    pi_placement placement;
    if (!pi_placement_make(snapshot, 0, &placement))
        return 0; /* nor will there be memory for the dump */
    uint64_t regions =
        (pi_memory_list_size_bytes(&placement) - 4) / PI_MINIDUMP_MEMORY_DESCRIPTOR_BYTES;
    pi_placement_free(&placement);
    size_t modules = snapshot->modules == NULL ? 0 : snapshot->modules->count;
    if (threads <= PI_READER_MAX_THREADS && regions <= PI_READER_MAX_REGIONS &&
        modules <= PI_READER_MAX_MODULES)
        return 0;
    snprintf(
        text, capacity,
        "Not readable by tools built on Breakpad: it has %llu threads, %llu memory regions and "
        "%zu modules, and they take %d, %d and %d at most. LLDB reads it.",
        (unsigned long long)threads, (unsigned long long)regions, modules, PI_READER_MAX_THREADS,
        PI_READER_MAX_REGIONS, PI_READER_MAX_MODULES);
    return 1;
}
