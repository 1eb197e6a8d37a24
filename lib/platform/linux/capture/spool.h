/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_SPOOL_H
#define PI_PLATFORM_LINUX_CAPTURE_SPOOL_H

#include <limits.h>

#include "platform/linux/capture/hold.h"

/*
 * The capture by spool: a hold whose memory goes into a file without a name. Two helpers do it. The
 * one that holds the process reads its memory, piece by piece, into slots that both share, and the
 * other one, the writer, writes them into the file: at the same time, and, what matters more, one
 * that waits for a disk which doesn't answer holds nobody. The process is let go of in time, and
 * the writer is given up.
 */

enum {
    PI_SPOOL_SLOT_BYTES = 1024 * 1024,
    PI_SPOOL_SLOTS = 16,
    PI_SPOOL_PARTS = 512, /* ranges, or parts of such, in one slot */
    PI_SPOOL_NAME_BYTES = 48
};

/* At which step it failed. */
typedef enum pi_spool_step {
    PI_SPOOL_OPENS_DIRECTORY,
    PI_SPOOL_MAKES_FILE,
    PI_SPOOL_FINDS_ROOM, /* failed_errno is ENOSPC where .free_bytes isn't enough */
    PI_SPOOL_WRITES,
    PI_SPOOL_ENDED_EARLY /* the writer was killed */
} pi_spool_step;

typedef struct pi_spool {
    /* Set by the host. */
    char directory[PATH_MAX];
    uint64_t expected_bytes; /* has to have room before anything is stopped */
    unsigned char *slots;    /* PI_SPOOL_SLOTS of PI_SPOOL_SLOT_BYTES */
    int writer_pidfd;

    /* Results. Both are in the host's table, and its own to close, though the writer may have been
     * killed in between; -1 for none. */
    int directory_file;
    int file;
    uint64_t free_bytes;
    pi_spool_step step;
    atomic_int failed_errno; /* 0: hasn't failed */

    /* At work: how many slots have been filled and written so far, both futexes. */
    atomic_uint filled;
    atomic_uint written;
    atomic_bool is_complete; /* no further one is filled */
    uint32_t lengths[PI_SPOOL_SLOTS];
    pi_memory_range parts[PI_SPOOL_PARTS];
} pi_spool;

/* The job of the writer; `spool` is a pi_spool. Reports when the file is there and has room, or
 * isn't and hasn't, and ends when all is written, or the host tells it to. */
void pi_spool_write(pi_helper *helper, void *spool);

/* While the process stands: has the choice's ranges written, one behind the other. */
pi_hold_result pi_hold_spool(pi_hold *hold);

#endif
