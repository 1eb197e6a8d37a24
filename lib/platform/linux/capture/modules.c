/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "platform/linux/capture/parts.h"

/* Where the process has ended since it was let go, what was read before stays useful. */
static int32_t note_end(const pi_process *process, const pi_living *living, pi_arena *arena,
                        pi_capture_notes *notes, bool has_modules, procinspect_error *error) {
    if (living->main_result == 0 && !living->main.has_begun_to_end)
        return PROCINSPECT_OK;
    procinspect_error ended;
    if (pi_living_check(process, &ended) == PROCINSPECT_OK)
        return PROCINSPECT_OK;
    if (!has_modules)
        return pi_error_set(error, ended.code, ended.os_errno, "%s", ended.message);
    return pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_LEFT_OUT, 0,
                           "The process ended right after its threads and memory had been read: of "
                           "its modules there is what their files tell, as far as these were still "
                           "there.")
               ? PROCINSPECT_OK
               : pi_capture_exhausted(arena, error);
}

int32_t pi_capture_modules(const pi_process *process, pi_living *living, pi_process *files,
                           const pi_modules_captured *captured, pi_arena *arena,
                           pi_capture_notes *notes, pi_snapshot *snapshot,
                           procinspect_error *error) {
    procinspect_module_list *list = pi_arena_alloc(arena, sizeof *list);
    if (list == NULL)
        return pi_capture_exhausted(arena, error);
    int32_t code;
    do {
        code = pi_modules_from_captured(
            files, captured,
            PROCINSPECT_MODULE_PATH | PROCINSPECT_MODULE_BUILD_ID | PROCINSPECT_MODULE_SONAME |
                PROCINSPECT_MODULE_FILE_VERSION | PROCINSPECT_MODULE_TEXT_HASH,
            arena, list, error);
        if (code != PROCINSPECT_OK)
            return code;
        code = pi_living_turn_process(process, living, files, error);
    } while (code == PI_LIVING_TURNED);
    /* IO: thread after thread has ended. What the files tell is there by now. */
    if (code != PI_LIVING_STANDS && code != PROCINSPECT_ERROR_IO)
        return code;
    snapshot->modules = list;
    snapshot->report.module_count = (uint32_t)list->count;
    return note_end(process, living, arena, notes, list->count != 0, error);
}
