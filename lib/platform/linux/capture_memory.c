/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "platform/linux/capture_parts.h"
#include "platform/linux/capture_source.h"

static bool note_memory(const pi_hold *hold, pi_capture_notes *notes) {
    bool noted = true;
    if (hold->plan.windows_left_out)
        noted =
            pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_LEFT_OUT, 0,
                            "The code around the instruction pointers is left out: with it there "
                            "would be more than %u memory ranges, which some readers refuse, or "
                            "more bytes than hold_buffer_bytes.",
                            PI_PLAN_MAX_RANGES);
    if (hold->choice.left_out_bytes != 0)
        noted = noted && pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_LEFT_OUT, 0,
                                         "%" PRIu64 " bytes of memory are left out: they lie so "
                                         "scattered that there would be more than %zu ranges of "
                                         "it.",
                                         hold->choice.left_out_bytes, hold->choice.capacity);
    if (hold->unreadable_bytes != 0)
        noted = noted && pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_UNREADABLE, 0,
                                         "%" PRIu64 " bytes of memory could not be read; they are "
                                         "zero in the dump.",
                                         hold->unreadable_bytes);
    return noted;
}

int32_t pi_capture_memory(pi_capture_work *work, pi_arena *arena, pi_capture_notes *notes,
                          pi_snapshot *snapshot, procinspect_error *error) {
    const pi_hold *hold = &work->hold;
    size_t count = hold->range_count;
    snapshot->memory = pi_arena_alloc_array(arena, count, sizeof *snapshot->memory);
    if (snapshot->memory == NULL || !note_memory(hold, notes))
        return pi_capture_exhausted(arena, error);
    memcpy(snapshot->memory, hold->ranges, count * sizeof *snapshot->memory);
    snapshot->source = pi_capture_source_new(hold->data, work->data_bytes, snapshot->memory, count);
    if (snapshot->source == NULL)
        return pi_error_no_memory(error);
    work->data_bytes = 0; /* the source's by now */
    snapshot->memory_count = count;
    snapshot->report.memory_bytes = hold->memory_bytes;
    snapshot->report.unreadable_memory_bytes = hold->unreadable_bytes;
    return PROCINSPECT_OK;
}
