/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/statfs.h>

#include "platform/linux/capture/read.h"
#include "platform/linux/trace/helper_system_call.h"

enum { OWNER_ONLY = 0600, MOST_NAMES = 16, STEP_NS = 10000000 };

/* --- The file --- */

static bool failed(pi_spool *spool, pi_spool_step step, long result) {
    spool->step = step;
    atomic_store(&spool->failed_errno, (int)-result);
    return false;
}

/* "procinspect-spool-0123456789abcdef" */
static void make_name(char name[PI_SPOOL_NAME_BYTES]) {
    static const char prefix[] = "procinspect-spool-", digits[] = "0123456789abcdef";
    uint64_t number = raw_now_ns();
    raw_call(SYS_getrandom, (long)&number, sizeof number, 0, 0);
    size_t length = 0;
    for (; prefix[length] != '\0'; length++)
        name[length] = prefix[length];
    for (int shift = 60; shift >= 0; shift -= 4)
        name[length++] = digits[number >> shift & 15];
    name[length] = '\0';
}

/* Where the file system can make none without a name. */
static long make_named(pi_spool *spool) {
    int directory = spool->directory_file;
    char name[PI_SPOOL_NAME_BYTES];
    long file = -EEXIST;
    for (int i = 0; i < MOST_NAMES && file == -EEXIST; i++) {
        make_name(name);
        file = raw_call(SYS_openat, directory, (long)name,
                        O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, OWNER_ONLY);
    }
    if (file < 0)
        return file;
    spool->file = (int)file;
    return raw_call(SYS_unlinkat, directory, (long)name, 0, 0);
}

/* With O_EXCL it can't be given a name later either. */
static long make_file(pi_spool *spool) {
    long file = raw_call(SYS_openat, spool->directory_file, (long)".",
                         O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, OWNER_ONLY);
    if (file == -EOPNOTSUPP || file == -EISDIR || file == -EINVAL)
        return make_named(spool);
    spool->file = file < 0 ? -1 : (int)file;
    return file < 0 ? file : 0;
}

/* What is reserved can't run out while the process stands. Some file systems can't do that: then
 * what they say they have has to do. */
static bool find_room(pi_spool *spool) {
    struct statfs system;
    uint64_t wanted = spool->expected_bytes;
    if (raw_call(SYS_fstatfs, spool->file, (long)&system, 0, 0) == 0 && system.f_blocks != 0) {
        spool->free_bytes = (uint64_t)system.f_bavail * (uint64_t)system.f_bsize;
        if (wanted > spool->free_bytes)
            return failed(spool, PI_SPOOL_FINDS_ROOM, -ENOSPC);
    }
    long reserved = wanted == 0 ? 0 : raw_call(SYS_fallocate, spool->file, 0, 0, (long)wanted);
    return reserved == 0 || reserved == -EOPNOTSUPP || reserved == -ENOSYS ||
           failed(spool, PI_SPOOL_FINDS_ROOM, reserved);
}

static bool prepare(pi_spool *spool) {
    long directory =
        raw_open(AT_FDCWD, spool->directory, O_PATH | O_DIRECTORY | O_CLOEXEC | O_RDONLY);
    if (directory < 0)
        return failed(spool, PI_SPOOL_OPENS_DIRECTORY, directory);
    spool->directory_file = (int)directory;
    long result = make_file(spool);
    return result < 0 ? failed(spool, PI_SPOOL_MAKES_FILE, result) : find_room(spool);
}

/* --- The writer --- */

static void wait_for_change(atomic_uint *word, uint32_t seen) {
    struct timespec step = {0, STEP_NS};
    raw_call(SYS_futex, (long)word, FUTEX_WAIT, seen, (long)&step);
}

static void advance(atomic_uint *word) {
    atomic_fetch_add(word, 1);
    raw_call(SYS_futex, (long)word, FUTEX_WAKE, 1, 0);
}

static bool write_all(pi_spool *spool, const unsigned char *bytes, uint32_t length,
                      uint64_t offset) {
    while (length != 0) {
        long done = raw_call(SYS_pwrite64, spool->file, (long)bytes, (long)length, (long)offset);
        if (done <= 0)
            return failed(spool, PI_SPOOL_WRITES, done == 0 ? -EIO : done);
        bytes += done;
        length -= (uint32_t)done;
        offset += (uint64_t)done;
    }
    return true;
}

static void write_slots(pi_helper *helper, pi_spool *spool) {
    uint64_t offset = 0;
    for (uint32_t written = 0;;) {
        bool is_complete = atomic_load(&spool->is_complete);
        if (pi_helper_must_stop(helper))
            return;
        if (atomic_load(&spool->filled) != written) {
            uint32_t slot = written % PI_SPOOL_SLOTS;
            if (!write_all(spool, spool->slots + (size_t)slot * PI_SPOOL_SLOT_BYTES,
                           spool->lengths[slot], offset))
                break;
            offset += spool->lengths[slot];
            written++;
            advance(&spool->written);
        } else if (is_complete) {
            break;
        } else {
            wait_for_change(&spool->filled, written);
        }
    }
    /* What was reserved, and isn't needed. The process runs by now, or is about to. */
    raw_call(SYS_ftruncate, spool->file, (long)offset, 0, 0);
}

void pi_spool_write(pi_helper *helper, void *argument) {
    pi_spool *spool = argument;
    bool is_prepared = prepare(spool);
    pi_helper_stop_watchdog(helper);
    pi_helper_report(helper);
    if (is_prepared)
        write_slots(helper, spool);
}

/* --- The reader --- */

typedef struct spool_cursor {
    const pi_memory_range *ranges;
    size_t count;
    size_t index;    /* the range */
    uint64_t offset; /* in it */
} spool_cursor;

/* The next piece of memory that fits a slot: how many parts, and *bytes in all. */
static size_t next_parts(spool_cursor *at, pi_memory_range *parts, uint64_t *bytes) {
    size_t count = 0;
    *bytes = 0;
    while (at->index < at->count && count < PI_SPOOL_PARTS && *bytes < PI_SPOOL_SLOT_BYTES) {
        const pi_memory_range *range = &at->ranges[at->index];
        uint64_t length = range->size_bytes - at->offset;
        if (length > PI_SPOOL_SLOT_BYTES - *bytes)
            length = PI_SPOOL_SLOT_BYTES - *bytes;
        parts[count++] = (pi_memory_range){range->address + at->offset, length};
        *bytes += length;
        at->offset += length;
        if (at->offset == range->size_bytes) {
            at->index++;
            at->offset = 0;
        }
    }
    return count;
}

static bool writer_has_ended(const pi_spool *spool) {
    struct pollfd ended = {spool->writer_pidfd, POLLIN, 0};
    struct timespec now = {0, 0};
    return raw_call6(SYS_ppoll, (long)&ended, 1, (long)&now, 0, 0, 0) == 1;
}

/* Until no more than `most` of the filled slots are yet to be written. */
static pi_hold_result wait_for_writer(pi_hold *hold, uint32_t most) {
    pi_spool *spool = hold->spool;
    for (;;) {
        uint32_t written = atomic_load(&spool->written);
        if (atomic_load(&spool->failed_errno) != 0)
            return PI_HOLD_NOT_SPOOLED;
        if (atomic_load(&spool->filled) - written <= most)
            return PI_HOLD_DONE;
        if (raw_now_ns() >= pi_hold_deadline_ns(hold))
            return PI_HOLD_TOO_LATE;
        if (pi_helper_must_stop(hold->stop.helper))
            return PI_HOLD_NOT_DONE;
        wait_for_change(&spool->written, written);
        if (writer_has_ended(spool) && atomic_load(&spool->written) == written &&
            atomic_load(&spool->failed_errno) == 0)
            failed(spool, PI_SPOOL_ENDED_EARLY, -EIO);
    }
}

static pi_hold_result fill_slot(pi_hold *hold, pi_memory_reader *reader, size_t parts,
                                uint64_t bytes) {
    pi_spool *spool = hold->spool;
    uint32_t slot = atomic_load(&spool->filled) % PI_SPOOL_SLOTS;
    spool->lengths[slot] = (uint32_t)bytes;
    switch (pi_memory_read_ranges(reader, spool->parts, parts,
                                  spool->slots + (size_t)slot * PI_SPOOL_SLOT_BYTES)) {
    case PI_READ_OK:
        advance(&spool->filled);
        return PI_HOLD_DONE;
    case PI_READ_TOO_LATE:
        return PI_HOLD_TOO_LATE;
    case PI_READ_MUST_END:
        break;
    }
    return PI_HOLD_NOT_DONE;
}

pi_hold_result pi_hold_spool(pi_hold *hold) {
    pi_memory_reader reader = {.tid = hold->memory_tid,
                               .directory = hold->memory_directory,
                               .helper = hold->stop.helper,
                               .deadline_ns = pi_hold_deadline_ns(hold)};
    spool_cursor at = {hold->ranges, hold->range_count, 0, 0};
    pi_hold_result result = PI_HOLD_DONE;
    uint64_t bytes;
    size_t parts;
    while (result == PI_HOLD_DONE && (parts = next_parts(&at, hold->spool->parts, &bytes)) != 0) {
        result = wait_for_writer(hold, PI_SPOOL_SLOTS - 1);
        if (result == PI_HOLD_DONE)
            result = fill_slot(hold, &reader, parts, bytes);
    }
    if (result == PI_HOLD_DONE)
        result = wait_for_writer(hold, 0);
    hold->unreadable_bytes = reader.unreadable_bytes;
    atomic_store(&hold->spool->is_complete, true);
    raw_call(SYS_futex, (long)&hold->spool->filled, FUTEX_WAKE, 1, 0);
    return result;
}
