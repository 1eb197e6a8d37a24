/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cancellation.h"
#include "base/error.h"
#include "base/text.h"
#include "platform/linux/capture/parts.h"
#include "platform/linux/descriptor_info.h"

/* A million descriptors are a target's to open; a dump has the first of them, and of their names
 * what fits. */
enum {
    MAX_HANDLES = 65536,
    MAX_NAME_BYTES = 16 * 1024 * 1024, /* of all of them */
    LONGEST_NAME = 4096,               /* the kernel gives no more, and refuses what doesn't fit */
    INFO_BYTES = 512,                  /* what matters of fdinfo stands at its start */
    HANDLES_PER_CANCELLATION = 256
};

/* The descriptors of one process while they are read. */
typedef struct handle_scan {
    const pi_process *process;
    const procinspect_cancellation *cancellation;
    DIR *links; /* its directory fd */
    int infos;  /* fdinfo */
    pi_arena *arena;
    pi_handle_snapshot *items; /* malloc'ed */
    size_t count;
    size_t capacity;
    size_t name_bytes;
    bool is_full; /* there are more */
} handle_scan;

/* Beside 0 and negative errnos. */
enum { DESCRIPTOR_CLOSED = 1, ARENA_EXHAUSTED = 2, CANCELLED = 3 };

static bool starts_with(const char *name, size_t length, const char *prefix) {
    size_t prefix_length = strlen(prefix);
    return length >= prefix_length && memcmp(name, prefix, prefix_length) == 0;
}

/* What has a path is a file. Everything else has a name like "socket:[1234]". */
static pi_bytes type_of(pi_bytes name) {
    static const char file[] = "file", other[] = "other";
    if (name.length == 0 || starts_with(name.data, name.length, "/") ||
        starts_with(name.data, name.length, "(unreachable)/"))
        return (pi_bytes){file, sizeof file - 1};
    const char *colon = memchr(name.data, ':', name.length);
    if (colon == NULL || colon == name.data)
        return (pi_bytes){other, sizeof other - 1};
    return (pi_bytes){name.data, (size_t)(colon - (const char *)name.data)};
}

static uint32_t access_of(uint64_t flags) {
    if ((flags & O_PATH) != 0)
        return 0;
    uint32_t write = (flags & O_APPEND) != 0 ? PI_ACCESS_APPEND : PI_ACCESS_WRITE;
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return PI_ACCESS_READ;
    case O_WRONLY:
        return write;
    case O_RDWR:
        return PI_ACCESS_READ | write;
    default: /* 3: ioctl only */
        return 0;
    }
}

static int add(handle_scan *scan, const pi_handle_snapshot *handle) {
    if (scan->count == scan->capacity) {
        size_t capacity = scan->capacity == 0 ? 64 : scan->capacity * 2;
        pi_handle_snapshot *items = realloc(scan->items, capacity * sizeof *items);
        if (items == NULL)
            return -ENOMEM;
        scan->items = items;
        scan->capacity = capacity;
    }
    scan->items[scan->count++] = *handle;
    return 0;
}

/* A name that is too long for the kernel to give is a path without a name here. */
static int read_name(handle_scan *scan, const char *number, pi_bytes *name) {
    char text[LONGEST_NAME];
    ssize_t length = readlinkat(dirfd(scan->links), number, text, sizeof text);
    if (length < 0)
        return errno == ENAMETOOLONG ? 0 : -errno;
    const char *copy = pi_arena_copy(scan->arena, text, (size_t)length);
    if (copy == NULL)
        return ARENA_EXHAUSTED;
    *name = (pi_bytes){copy, (size_t)length};
    return 0;
}

static int read_handle(handle_scan *scan, const char *number, pi_handle_snapshot *handle) {
    char info[INFO_BYTES];
    ssize_t length = pi_proc_read_once(scan->infos, number, info, sizeof info);
    if (length < 0)
        return errno == ENOENT ? DESCRIPTOR_CLOSED : -errno;
    uint64_t flags;
    if (!pi_descriptor_flags(info, (size_t)length, &flags))
        return -EBADMSG;
    int result = read_name(scan, number, &handle->name);
    if (result != 0)
        return result == -ENOENT ? DESCRIPTOR_CLOSED : result;
    handle->type = type_of(handle->name);
    handle->access = access_of(flags);
    handle->is_inherited = (flags & O_CLOEXEC) == 0;
    return 0;
}

static int take_entry(handle_scan *scan, const char *name) {
    pi_handle_snapshot handle = {0};
    if (!pi_parse_u64_whole(name, strlen(name), 10, &handle.number))
        return 0; /* "." */
    if (scan->count == MAX_HANDLES || scan->name_bytes > MAX_NAME_BYTES - LONGEST_NAME) {
        scan->is_full = true;
        return 0;
    }
    int result = read_handle(scan, name, &handle);
    if (result != 0)
        return result == DESCRIPTOR_CLOSED ? 0 : result;
    scan->name_bytes += handle.name.length;
    return add(scan, &handle);
}

/* The kernel lists them by ascending number. */
static int read_all(handle_scan *scan) {
    int result = 0;
    for (size_t seen = 0; result == 0 && !scan->is_full; seen++) {
        if (seen % HANDLES_PER_CANCELLATION == 0 &&
            pi_cancellation_is_requested(scan->cancellation))
            return CANCELLED;
        errno = 0;
        const struct dirent *entry = readdir(scan->links);
        if (entry == NULL)
            return -errno;
        result = take_entry(scan, entry->d_name);
    }
    return result;
}

static int open_and_read(handle_scan *scan, int directory) {
    static const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int links = openat(directory, "fd", flags);
    scan->links = links < 0 ? NULL : fdopendir(links);
    if (scan->links == NULL) {
        int result = -errno;
        pi_close(links);
        return result;
    }
    scan->infos = openat(directory, "fdinfo", flags);
    int result = scan->infos < 0 ? -errno : read_all(scan);
    pi_close(scan->infos);
    closedir(scan->links);
    return result;
}

/* Hands them over. */
static int32_t finish(const handle_scan *scan, pi_capture_notes *notes, pi_snapshot *snapshot,
                      procinspect_error *error) {
    snapshot->handles =
        pi_arena_alloc_array(scan->arena, scan->count + 1, sizeof *snapshot->handles);
    if (snapshot->handles == NULL)
        return pi_capture_exhausted(scan->arena, error);
    if (scan->count != 0)
        memcpy(snapshot->handles, scan->items, scan->count * sizeof *scan->items);
    snapshot->handle_count = scan->count;
    if (scan->is_full &&
        !pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_SHORTENED, 0,
                         "The process has more open descriptors than the first %zu, which are in "
                         "the dump: it takes %d, and %d MiB of their names.",
                         scan->count, MAX_HANDLES, MAX_NAME_BYTES >> 20))
        return pi_capture_exhausted(scan->arena, error);
    return PROCINSPECT_OK;
}

/* What can't be had is left out, unless it is because the process has ended, or of too little
 * memory or too few descriptors. */
static int32_t give_up(const handle_scan *scan, int os_errno, pi_capture_notes *notes,
                       pi_snapshot *snapshot, procinspect_error *error) {
    if (os_errno == ENOENT || os_errno == ESRCH || pi_is_exhaustion(os_errno))
        return pi_process_failed(scan->process, "fd", os_errno, error);
    snapshot->report.effective_type &= ~PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA;
    return pi_capture_note(notes, PROCINSPECT_DUMP_NOTE_LEFT_OUT, 0,
                           "The open descriptors could not be read: %s.", strerrordesc_np(os_errno))
               ? PROCINSPECT_OK
               : pi_capture_exhausted(scan->arena, error);
}

int32_t pi_capture_handles(const pi_process *process, const pi_process *files,
                           const procinspect_cancellation *cancellation, pi_arena *arena,
                           pi_capture_notes *notes, pi_snapshot *snapshot,
                           procinspect_error *error) {
    handle_scan scan = {
        .process = process, .cancellation = cancellation, .infos = -1, .arena = arena};
    int result = open_and_read(&scan, files->directory);
    int32_t code;
    if (result == CANCELLED)
        code = pi_error_cancelled(error);
    else if (result == ARENA_EXHAUSTED)
        code = pi_capture_exhausted(arena, error);
    else if (result < 0)
        code = give_up(&scan, -result, notes, snapshot, error);
    else
        code = finish(&scan, notes, snapshot, error);
    free(scan.items);
    return code;
}
