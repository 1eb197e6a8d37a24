/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/read.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

#include "platform/linux/trace/helper_system_call.h"

enum {
    BATCH_PIECES = 512,            /* below IOV_MAX */
    BATCH_BYTES = 4 * 1024 * 1024, /* so that the deadline is looked at */
    PAGE_BYTES = 4096
};

enum { FILE_NOT_OPEN = -1, FILE_UNAVAILABLE = -2 };

/* A position in the ranges, and what is known of the ways to read. */
typedef struct cursor {
    pi_memory_reader *reader;
    const pi_memory_range *ranges;
    size_t count;
    size_t index;    /* the range */
    uint64_t offset; /* in it */
    unsigned char *to;
    int file;          /* /proc/PID/mem, opened when it is first needed */
    bool only_by_file; /* process_vm_readv is not to be had */
} cursor;

static void advance(cursor *at, uint64_t bytes) {
    at->to += bytes;
    while (bytes != 0) {
        uint64_t left = at->ranges[at->index].size_bytes - at->offset;
        if (bytes < left) {
            at->offset += bytes;
            return;
        }
        bytes -= left;
        at->index++;
        at->offset = 0;
    }
}

/* Many pieces with one call. How many bytes, or a negative errno. It ends early at a page that
 * can't be read. *wanted: how many it would have been. */
static long read_batch(const cursor *at, uint64_t *wanted) {
    struct iovec pieces[BATCH_PIECES];
    unsigned long count = 0;
    uint64_t total = 0, offset = at->offset;
    for (size_t i = at->index; i < at->count && count < BATCH_PIECES && total < BATCH_BYTES; i++) {
        uint64_t length = at->ranges[i].size_bytes - offset;
        if (length > BATCH_BYTES - total)
            length = BATCH_BYTES - total;
        pieces[count].iov_base = (void *)(uintptr_t)(at->ranges[i].address + offset);
        pieces[count].iov_len = length;
        count++;
        total += length;
        offset = 0;
    }
    *wanted = total;
    struct iovec local = {at->to, total};
    return raw_call6(SYS_process_vm_readv, at->reader->tid, (long)&local, 1, (long)pieces,
                     (long)count, 0);
}

/* The file can read what no page permission lets be read. Bytes read, or 0. */
static long read_by_file(cursor *at, uint64_t length) {
    if (at->file == FILE_NOT_OPEN) {
        long file = pi_helper_open(at->reader->helper, at->reader->directory, "mem", O_RDONLY);
        at->file = file < 0 ? FILE_UNAVAILABLE : (int)file;
    }
    if (at->file == FILE_UNAVAILABLE)
        return 0;
    uint64_t address = at->ranges[at->index].address + at->offset;
    long got = raw_call(SYS_pread64, at->file, (long)at->to, (long)length, (long)address);
    return got < 0 ? 0 : got;
}

/* What is left of this range, and of the page that the position is in. */
static uint64_t rest_of_range(const cursor *at) {
    return at->ranges[at->index].size_bytes - at->offset;
}

static uint64_t rest_of_page(const cursor *at) {
    uint64_t address = at->ranges[at->index].address + at->offset;
    uint64_t in_page = PAGE_BYTES - address % PAGE_BYTES;
    return in_page < rest_of_range(at) ? in_page : rest_of_range(at);
}

static uint64_t rest_of_step(const cursor *at) {
    return rest_of_range(at) < BATCH_BYTES ? rest_of_range(at) : BATCH_BYTES;
}

/* A page that can't be read with the others. As a rule what follows can't either: the file gives as
 * much of it as it can. */
static void read_past(cursor *at) {
    uint64_t got = (uint64_t)read_by_file(at, rest_of_step(at));
    if (got != 0) {
        advance(at, got);
        return;
    }
    uint64_t length = rest_of_page(at);
    for (uint64_t i = 0; i < length; i++)
        at->to[i] = 0;
    at->reader->unreadable_bytes += length;
    advance(at, length);
}

static void read_step(cursor *at) {
    uint64_t wanted = rest_of_step(at);
    long got = at->only_by_file ? read_by_file(at, wanted) : read_batch(at, &wanted);
    /* Not "this page is missing": not permitted, not there. The file may be. */
    if (got < 0 && got != -EFAULT)
        at->only_by_file = true;
    if (got > 0)
        advance(at, (uint64_t)got);
    if (got >= 0 ? (uint64_t)got < wanted : !at->only_by_file)
        read_past(at);
}

pi_read_result pi_memory_read_ranges(pi_memory_reader *reader, const pi_memory_range *ranges,
                                     size_t count, unsigned char *buffer) {
    cursor at = {reader, ranges, count, 0, 0, buffer, FILE_NOT_OPEN, false};
    pi_read_result result = PI_READ_OK;
    while (at.index < count && result == PI_READ_OK) {
        read_step(&at);
        if (raw_now_ns() >= reader->deadline_ns)
            result = PI_READ_TOO_LATE;
        else if (pi_helper_must_stop(reader->helper))
            result = PI_READ_MUST_END;
    }
    if (at.file >= 0)
        raw_close(at.file);
    return result;
}
