/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/spool_source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "platform/linux/capture/source.h"

/* For the file and its room, and for the end of the writer. */
#define PREPARATION_LIMIT_NS UINT64_C(4000000000)
#define END_LIMIT_NS UINT64_C(1000000000)

/* --- The writer --- */

static int32_t no_answer(const pi_spool *spool, procinspect_error *error) {
    return pi_error_set(error, PROCINSPECT_ERROR_TIMED_OUT, 0,
                        "The file system of spool_directory '%.128s' didn't answer within %d s; "
                        "use one on a local disk. The process was not stopped.",
                        spool->directory, (int)(PREPARATION_LIMIT_NS / 1000000000));
}

int32_t pi_spool_begin(const pi_capture_state *capture, pi_capture_work *work,
                       pi_helper_staying **writer, procinspect_error *error) {
    pi_spool *spool = work->hold.spool;
    spool->expected_bytes = capture->snapshot->report.memory_bytes;
    strncpy(spool->directory, capture->request->spool_directory, sizeof spool->directory - 1);
    pi_helper_job job = {.run = pi_spool_write,
                         .argument = spool,
                         .limit_ns = PREPARATION_LIMIT_NS,
                         .stop_limit_ns = END_LIMIT_NS,
                         .proc = capture->process->system->proc,
                         .cancellation = capture->request->cancellation};
    int32_t code = pi_helper_run_until_report(&job, writer, error);
    work->is_kept = job.keeps_memory;
    if (code == PROCINSPECT_ERROR_TIMED_OUT)
        return no_answer(spool, error);
    if (code != PROCINSPECT_OK)
        return code;
    if (atomic_load(&spool->failed_errno) != 0)
        return pi_spool_failed(spool, "The process was not stopped.", error);
    spool->writer_pidfd = pi_helper_pidfd(*writer);
    return PROCINSPECT_OK;
}

void pi_spool_end(pi_capture_work *work, pi_helper_staying *writer) {
    if (writer != NULL && !pi_helper_end(writer))
        work->is_kept = true;
}

void pi_spool_drop(pi_spool *spool) {
    pi_close(spool->directory_file);
    pi_close(spool->file);
    spool->directory_file = spool->file = -1;
}

/* --- Why not --- */

static int32_t no_room(const pi_spool *spool, int cause, const char *outcome,
                       procinspect_error *error) {
    const char *remedy = cause == EDQUOT ? "raise its user's quota"
                         : cause == EFBIG
                             ? "raise RLIMIT_FSIZE of the host process, or use a file system that "
                               "allows larger files"
                             : "free some";
    return pi_error_set(error, PROCINSPECT_ERROR_NO_RESOURCES, cause,
                        "No room in spool_directory '%.128s' for the process's memory (%s): it "
                        "takes %" PRIu64 " bytes and %" PRIu64
                        " are free; %s, or name another directory. %s",
                        spool->directory, strerror(cause), spool->expected_bytes, spool->free_bytes,
                        remedy, outcome);
}

static const char *remedy_for(pi_spool_step step, int cause) {
    if (step == PI_SPOOL_WRITES)
        return "look at its disk";
    switch (cause) {
    case ENOENT:
        return "make it";
    case ENOTDIR:
        return "name a directory";
    case EACCES:
    case EPERM:
        return "let the host's user write there";
    case EROFS:
        return "its file system is read-only: name one that isn't";
    default:
        return "name another one";
    }
}

/* That the host's own directory can't be written to is no question of who may dump whom: neither
 * PERMISSION nor NOT_FOUND. */
int32_t pi_spool_failed(const pi_spool *spool, const char *outcome, procinspect_error *error) {
    int cause = atomic_load(&spool->failed_errno);
    if (cause == ENOSPC || cause == EDQUOT || cause == EFBIG)
        return no_room(spool, cause, outcome, error);
    if (cause == EMFILE || cause == ENFILE)
        return pi_error_set(error, PROCINSPECT_ERROR_NO_RESOURCES, cause,
                            "No file descriptor is left for a file in spool_directory; raise "
                            "RLIMIT_NOFILE of the host process. %s",
                            outcome);
    if (spool->step == PI_SPOOL_ENDED_EARLY)
        return pi_error_set(error, PROCINSPECT_ERROR_IO, 0,
                            "The helper process that writes to spool_directory was killed before "
                            "it was done. %s Try again, and look who sends such signals or whether "
                            "memory ran out.",
                            outcome);
    static const char *const steps[] = {"opened", "written to: no file could be made",
                                        "written to: no room could be reserved", "written to"};
    return pi_error_set(error, cause == ENOMEM ? PROCINSPECT_ERROR_NO_MEMORY : PROCINSPECT_ERROR_IO,
                        cause, "spool_directory '%.128s' can't be %s (%s); %s. %s",
                        spool->directory, steps[spool->step], strerror(cause),
                        remedy_for(spool->step, cause), outcome);
}

/* --- Reading it --- */

typedef struct spooled_memory {
    pi_memory_source source; /* first: what is handed out is a pointer to it */
    int file;
    const pi_memory_range *ranges;
    size_t count;
    uint64_t offsets[]; /* of each range in the file */
} spooled_memory;

static int32_t read_spooled(const pi_memory_source *source, uint64_t address, void *buffer,
                            size_t length, procinspect_error *error) {
    const spooled_memory *spooled = (const spooled_memory *)(const void *)source;
    size_t at = pi_memory_range_around(spooled->ranges, spooled->count, address, length);
    if (at == spooled->count)
        return pi_capture_not_held(address, length, error);
    uint64_t offset = spooled->offsets[at] + (address - spooled->ranges[at].address);
    unsigned char *to = buffer;
    while (length != 0) {
        ssize_t got = pread(spooled->file, to, length, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return pi_error_set(error, PROCINSPECT_ERROR_IO, got < 0 ? errno : EIO,
                                "The dump can't be read from its file in spool_directory (%s); "
                                "look at that disk, and take another dump.",
                                strerror(got < 0 ? errno : EIO));
        to += got;
        length -= (size_t)got;
        offset += (uint64_t)got;
    }
    return PROCINSPECT_OK;
}

static void release_spooled(pi_memory_source *source) {
    spooled_memory *spooled = (spooled_memory *)(void *)source;
    pi_close(spooled->file);
    free(spooled);
}

pi_memory_source *pi_spool_source_new(pi_spool *spool, const pi_memory_range *ranges,
                                      size_t count) {
    spooled_memory *made = malloc(sizeof *made + count * sizeof made->offsets[0]);
    if (made == NULL)
        return NULL;
    made->source = (pi_memory_source){read_spooled, release_spooled};
    made->file = spool->file;
    made->ranges = ranges;
    made->count = count;
    uint64_t used = 0;
    for (size_t i = 0; i < count; i++) {
        made->offsets[i] = used;
        used += ranges[i].size_bytes;
    }
    spool->file = -1;
    return &made->source;
}
