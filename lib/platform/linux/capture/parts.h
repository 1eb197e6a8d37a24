/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_PARTS_H
#define PI_PLATFORM_LINUX_CAPTURE_PARTS_H

#include "platform/linux/capture/hold.h"
#include "platform/linux/capture/known.h"
#include "platform/linux/capture/work.h"
#include "platform/linux/living.h"
#include "platform/linux/modules.h"

/* The parts of a capture that run in the host, before the process is stopped and after it runs
 * again. */

/* NOT_FOUND for a zombie. */
int32_t pi_capture_check_zombie(const pi_process *process, procinspect_error *error);

/*
 * What can't be captured is refused before it is touched: kernel threads, programs of another
 * architecture (UNSUPPORTED), what a debugger holds already (TRACED), what we may not look at
 * (PERMISSION).
 */
int32_t pi_capture_check_target(const pi_process *process, int32_t *own_helper,
                                procinspect_error *error);

/* Programs of another architecture (UNSUPPORTED), what we may not look at (PERMISSION). `files` are
 * those of a living thread, tid (living.h). */
int32_t pi_capture_check_architecture(const pi_process *process, const pi_process *files,
                                      int32_t tid, procinspect_error *error);

/*
 * Asks whether the kernel lets our helper trace the process, without doing it. *os_errno: 0, or why
 * not; to be explained with pi_capture_refused. Errors: where no helper could be started. `files`
 * are those of a living thread.
 */
int32_t pi_capture_ask_access(const pi_process *files, const procinspect_cancellation *cancellation,
                              int *os_errno, procinspect_error *error);

/*
 * Reads the texts that don't change by stopping: all but PI_TEXT_MAPS. What can't be read is left
 * out, with a note; but where that is because the thread whose `files` they are has ended meanwhile
 * the answer is GONE or NOT_FOUND.
 */
typedef struct pi_capture_notes pi_capture_notes;
int32_t pi_capture_read_texts(const pi_process *process, const pi_process *files, pi_arena *arena,
                              pi_bytes *texts, pi_capture_notes *notes, procinspect_error *error);

/* The arena gave no more: NO_MEMORY, or TOO_LARGE where it was the target's doing. */
int32_t pi_capture_exhausted(const pi_arena *arena, procinspect_error *error);

void pi_capture_cpu_identity(pi_cpu_identity *identity);

/* Notes are collected here and handed over at the end; zero-initialised but for the arena. */
struct pi_capture_notes {
    pi_arena *arena;
    struct pi_capture_note *first;
    struct pi_capture_note *last;
    size_t count;
};

/* False when out of memory. */
__attribute__((format(printf, 4, 5))) bool pi_capture_note(pi_capture_notes *notes, uint32_t kind,
                                                           int32_t tid, const char *format, ...);
bool pi_capture_notes_finish(const pi_capture_notes *notes, procinspect_dump_report *report);

/* The threads; `known` is what was known of them before the stop. */
int32_t pi_capture_threads(const pi_process *process, const pi_hold *hold,
                           const pi_known_threads *known, pi_arena *arena, pi_capture_notes *notes,
                           pi_snapshot *snapshot, procinspect_error *error);

/*
 * The open descriptors, before the process is stopped: through the files of a thread that lives.
 * What can't be read is left out of the effective type, with a note.
 */
int32_t pi_capture_handles(const pi_process *process, const pi_process *files,
                           const procinspect_cancellation *cancellation, pi_arena *arena,
                           pi_capture_notes *notes, pi_snapshot *snapshot,
                           procinspect_error *error);

/* The mappings as regions, from the snapshot's maps and modules. */
int32_t pi_capture_regions(pi_arena *arena, pi_snapshot *snapshot, procinspect_error *error);

/* The modules, through the files of a thread that lives; where none does any more, what is left of
 * them, with a note. GONE where that is nothing. */
int32_t pi_capture_modules(const pi_process *process, pi_living *living, pi_process *files,
                           const pi_modules_captured *captured, pi_arena *arena,
                           pi_capture_notes *notes, pi_snapshot *snapshot,
                           procinspect_error *error);

/*
 * Whether a dump of the process as it runs would be too large, by what is known before it is
 * stopped: asks the request's `accept`, too, and answers TOO_LARGE or what that answers. Sets the
 * report's memory_bytes to what the type takes besides what every dump holds, 0 where that can't
 * be told, or nobody asks for it. `files` are those of a living thread.
 */
int32_t pi_capture_judge_size(const pi_process *files, const pi_capture_request *request,
                              const pi_unwanted *unwanted, pi_snapshot *snapshot,
                              procinspect_error *error);

/* More than hold_buffer_bytes: TOO_LARGE. `outcome` says what became of the process. */
int32_t pi_capture_too_large(const pi_process *process, const pi_capture_request *request,
                             uint64_t memory_bytes, const char *outcome, procinspect_error *error);

/* Which memory it is, and what is to be said of it; reading it is another matter. */
int32_t pi_capture_ranges(const pi_hold *hold, pi_arena *arena, pi_capture_notes *notes,
                          pi_snapshot *snapshot, procinspect_error *error);

/* The memory, which the snapshot's source takes over from the work; and the work itself, with the
 * helper that looks after the copy, where there is one: NULL then. */
int32_t pi_capture_memory(pi_capture_work **work, pi_helper_staying **staying, pi_arena *arena,
                          pi_capture_notes *notes, pi_snapshot *snapshot, procinspect_error *error);

#endif
