/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "platform/linux/capture/by_copy.h"
#include "platform/linux/capture/copy_source.h"
#include "platform/linux/capture/live_source.h"
#include "platform/linux/capture/parts.h"
#include "platform/linux/capture/source.h"
#include "platform/linux/capture/spool_source.h"

/* What a copy of the process doesn't have. */
static bool note_record(const pi_page_record *record, pi_capture_notes *notes) {
    bool noted = true;
    if (record->shared_bytes != 0)
        noted =
            pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_SHARED, 0,
                            "%" PRIu64 " bytes of memory are shared (MAP_SHARED): they are read "
                            "while the dump is, as they are by then. "
                            "PROCINSPECT_DUMP_SHARED_WHILE_STOPPED takes them at once.",
                            record->shared_bytes);
    if (record->left_out_bytes != 0)
        noted =
            noted && pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_LEFT_OUT, 0,
                                     "%" PRIu64 " bytes of memory that a copy of the process "
                                     "doesn't have, or that lies too scattered, are zero in the "
                                     "dump or left out: more than hold_buffer_bytes has room "
                                     "for.",
                                     record->left_out_bytes);
    return noted;
}

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
    if (hold->choice.unwanted_count != 0)
        noted = noted && pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_LEFT_OUT, 0,
                                         "%zu mappings with %" PRIu64 " bytes of addresses are "
                                         "left out, as asked: they are not for cores "
                                         "(MADV_DONTDUMP).",
                                         hold->choice.unwanted_count, hold->choice.unwanted_bytes);
    if (hold->unreadable_bytes != 0)
        noted = noted && pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_UNREADABLE, 0,
                                         "%" PRIu64 " bytes of memory could not be read; they are "
                                         "zero in the dump.",
                                         hold->unreadable_bytes);
    if (hold->is_live && pi_live_bytes(hold) != 0)
        noted = noted &&
                pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_LIVE, 0,
                                "%" PRIu64 " bytes of memory are read from the running process "
                                "while the dump is: they are as they are by then, and zero where "
                                "they are gone. Only registers and the innermost part of each "
                                "stack are of one moment; the rest is no consistent image.",
                                pi_live_bytes(hold));
    return noted && (hold->copy == NULL || note_record(&hold->copy->record, notes));
}

/* Takes the work, or all of its data, or the file that has it. */
static int32_t make_source(pi_capture_work **work, pi_helper_staying **staying,
                           pi_snapshot *snapshot, procinspect_error *error) {
    if (*staying != NULL) {
        int32_t code = pi_copy_source_new(*work, *staying, snapshot->memory, snapshot->memory_count,
                                          &snapshot->source, error);
        if (code != PROCINSPECT_OK)
            return code;
        *work = NULL;
        *staying = NULL;
        return PROCINSPECT_OK;
    }
    if ((*work)->hold.is_live)
        return pi_live_source_new(*work, snapshot, error);
    if ((*work)->hold.spool != NULL) {
        snapshot->source =
            pi_spool_source_new((*work)->hold.spool, snapshot->memory, snapshot->memory_count);
        return snapshot->source != NULL ? PROCINSPECT_OK : pi_error_no_memory(error);
    }
    snapshot->source = pi_capture_source_new((*work)->hold.data, (*work)->data_bytes,
                                             snapshot->memory, snapshot->memory_count);
    if (snapshot->source == NULL)
        return pi_error_no_memory(error);
    (*work)->data_bytes = 0;
    return PROCINSPECT_OK;
}

int32_t pi_capture_ranges(const pi_hold *hold, pi_arena *arena, pi_capture_notes *notes,
                          pi_snapshot *snapshot, procinspect_error *error) {
    size_t count = hold->range_count;
    snapshot->memory = pi_arena_alloc_array(arena, count, sizeof *snapshot->memory);
    if (snapshot->memory == NULL || !note_memory(hold, notes))
        return pi_capture_exhausted(arena, error);
    memcpy(snapshot->memory, hold->ranges, count * sizeof *snapshot->memory);
    snapshot->memory_count = count;
    snapshot->report.memory_bytes = hold->memory_bytes;
    snapshot->report.unreadable_memory_bytes = hold->unreadable_bytes;
    if (hold->copy != NULL)
        snapshot->report.shared_memory_bytes = hold->copy->record.shared_bytes;
    if (hold->is_live)
        snapshot->report.shared_memory_bytes = pi_live_bytes(hold);
    return PROCINSPECT_OK;
}

int32_t pi_capture_memory(pi_capture_work **work, pi_helper_staying **staying, pi_arena *arena,
                          pi_capture_notes *notes, pi_snapshot *snapshot,
                          procinspect_error *error) {
    int32_t code = pi_capture_ranges(&(*work)->hold, arena, notes, snapshot, error);
    return code == PROCINSPECT_OK ? make_source(work, staying, snapshot, error) : code;
}
