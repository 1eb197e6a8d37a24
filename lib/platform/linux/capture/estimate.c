/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "platform/linux/capture/choice.h"
#include "platform/linux/capture/parts.h"

/* What a process may have mapped for all of it to be looked at: as the hold takes it. */
enum { MAPS_LIMIT_BYTES = 64 * 1024 * 1024 };

static uint64_t choose(const char *maps, size_t length, int pagemap, uint32_t type,
                       const pi_unwanted *unwanted) {
    pi_pages *pages = calloc(1, sizeof *pages);
    if (pages == NULL)
        return 0;
    pi_choice choice = {
        .type = type, .maps = maps, .maps_length = length, .pages = pages, .unwanted = *unwanted};
    pi_pages_begin(pages, pagemap);
    int result = pi_choice_make(&choice);
    free(pages);
    return result == 0 ? choice.total_bytes : 0;
}

static uint64_t estimate_bytes(const pi_process *files, uint32_t type,
                               const pi_unwanted *unwanted) {
    if ((type & PI_CHOICE_TYPES) == 0)
        return 0;
    int pagemap = openat(files->directory, "pagemap", O_RDONLY | O_CLOEXEC);
    if (pagemap < 0)
        return 0;
    pi_buffer maps = {0};
    uint64_t bytes = 0;
    if (pi_read_file_at(files->directory, "maps", &maps, MAPS_LIMIT_BYTES) == 0)
        bytes = choose(maps.data, maps.length, pagemap, type, unwanted);
    pi_buffer_free(&maps);
    pi_close(pagemap);
    return bytes;
}

int32_t pi_capture_too_large(const pi_process *process, const pi_capture_request *request,
                             uint64_t memory_bytes, const char *outcome, procinspect_error *error) {
    return pi_error_set(error, PROCINSPECT_ERROR_TOO_LARGE, 0,
                        "The memory of process %d that dump type 0x%x takes is %" PRIu64
                        " bytes, and hold_buffer_bytes allows %" PRIu64
                        "; raise that limit, or ask for a dump type with less memory in it. %s",
                        (int)process->pid, (unsigned)request->type, memory_bytes,
                        request->hold_buffer_bytes, outcome);
}

/* To look at every page takes its time. A way that was asked for, and takes any size without room
 * of its own, needs none. */
static bool is_size_needed(const pi_capture_request *request) {
    return request->accept != NULL ||
           (request->way != PROCINSPECT_DUMP_WAY_COPY && request->way != PROCINSPECT_DUMP_WAY_LIVE);
}

int32_t pi_capture_judge_size(const pi_process *files, const pi_capture_request *request,
                              const pi_unwanted *unwanted, pi_snapshot *snapshot,
                              procinspect_error *error) {
    if (is_size_needed(request))
        snapshot->report.memory_bytes = estimate_bytes(files, request->type, unwanted);
    if (request->accept != NULL) {
        int32_t code = request->accept(snapshot, request->user, error);
        if (code != PROCINSPECT_OK)
            return code;
    }
    return PROCINSPECT_OK;
}
