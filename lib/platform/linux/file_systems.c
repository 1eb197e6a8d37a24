/* SPDX-License-Identifier: MIT */
#include "platform/linux/file_systems.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "platform/linux/linux.h"

enum { LARGEST_MOUNTS = 16 * 1024 * 1024 };

/* "36 35 98:0 /root /mount\040point rw,noatime master:1 - ext3 /dev/root rw" */
typedef struct mount_line {
    pi_mount mount;
    const char *type;
    size_t type_length;
    bool is_root; /* of the mount namespace, or of the process in it */
} mount_line;

typedef struct field_cursor {
    const char *next;
    const char *end;
} field_cursor;

/* The next field, which a space or the line's end follows; empty behind the last. */
static size_t take_field(field_cursor *line, const char **field) {
    *field = line->next;
    const char *space = memchr(line->next, ' ', (size_t)(line->end - line->next));
    size_t length = (size_t)((space != NULL ? space : line->end) - line->next);
    line->next += length + (space != NULL);
    return length;
}

static bool parse_device(const char *text, size_t length, pi_mount *mount) {
    const char *colon = memchr(text, ':', length);
    uint64_t major, minor;
    if (colon == NULL || !pi_parse_u64_whole(text, (size_t)(colon - text), 10, &major) ||
        !pi_parse_u64_whole(colon + 1, length - (size_t)(colon + 1 - text), 10, &minor) ||
        major > UINT32_MAX || minor > UINT32_MAX)
        return false;
    mount->device_major = (uint32_t)major;
    mount->device_minor = (uint32_t)minor;
    return true;
}

static bool parse_line(field_cursor line, mount_line *parsed) {
    const char *field;
    size_t length = take_field(&line, &field);
    if (!pi_parse_u64_whole(field, length, 10, &parsed->mount.id))
        return false;
    take_field(&line, &field); /* parent */
    length = take_field(&line, &field);
    if (!parse_device(field, length, &parsed->mount))
        return false;
    take_field(&line, &field); /* the part of the file system that is mounted */
    length = take_field(&line, &field);
    parsed->is_root = length == 1 && field[0] == '/';
    take_field(&line, &field); /* options of the mount; what follows are others, up to a dash */
    do
        length = take_field(&line, &field);
    while (length != 0 && !(length == 1 && field[0] == '-'));
    parsed->type_length = take_field(&line, &parsed->type);
    return parsed->type_length != 0;
}

static bool is_one_of(const mount_line *line, const char *const *types) {
    for (; *types != NULL; types++)
        if (line->type_length == strlen(*types) &&
            memcmp(line->type, *types, line->type_length) == 0)
            return true;
    return false;
}

static pi_file_system kind_of(const mount_line *line, bool trusts_overlays) {
    static const char *const remote[] = {
        "fuse", "fuseblk", "virtiofs", "nfs",    "nfs4", "cifs", "smb3",   "9p",    "ceph",   "afs",
        "coda", "lustre",  "orangefs", "beegfs", "gpfs", "gfs2", "vboxsf", "ocfs2", "autofs", NULL,
    };
    static const char *const overlay[] = {"overlay", NULL};
    static const char *const memory[] = {"tmpfs", "hugetlbfs", "ramfs", "devtmpfs", NULL};
    static const char fuse[] = "fuse."; /* and the program's name */
    if (is_one_of(line, remote) ||
        (line->type_length >= sizeof fuse - 1 && memcmp(line->type, fuse, sizeof fuse - 1) == 0))
        return PI_FILE_SYSTEM_REMOTE;
    if (is_one_of(line, overlay) && !trusts_overlays)
        return PI_FILE_SYSTEM_REMOTE;
    return is_one_of(line, memory) ? PI_FILE_SYSTEM_MEMORY : PI_FILE_SYSTEM_DISK;
}

static bool add(pi_file_systems *systems, const pi_mount *mount) {
    if (systems->count == systems->capacity) {
        size_t capacity = systems->capacity == 0 ? 64 : systems->capacity * 2;
        pi_mount *items = realloc(systems->items, capacity * sizeof *items);
        if (items == NULL)
            return false;
        systems->items = items;
        systems->capacity = capacity;
    }
    systems->items[systems->count++] = *mount;
    return true;
}

int pi_file_systems_add(pi_file_systems *systems, const char *text, size_t length,
                        bool trusts_overlays) {
    const char *end = text + length, *line_end;
    size_t root = SIZE_MAX;
    for (; (line_end = memchr(text, '\n', (size_t)(end - text))) != NULL; text = line_end + 1) {
        mount_line line;
        if (!parse_line((field_cursor){text, line_end}, &line))
            continue;
        line.mount.kind = kind_of(&line, trusts_overlays);
        if (line.is_root) /* the last one covers the others */
            root = systems->count;
        if (!add(systems, &line.mount))
            return -ENOMEM;
    }
    systems->root = root != SIZE_MAX ? &systems->items[root] : NULL;
    return 0;
}

pi_file_system pi_file_systems_of_device(const pi_file_systems *systems, uint32_t major,
                                         uint32_t minor) {
    if (systems->has_own_root && systems->own_root_major == major &&
        systems->own_root_minor == minor)
        return PI_FILE_SYSTEM_DISK;
    for (size_t i = 0; i < systems->count; i++)
        if (systems->items[i].device_major == major && systems->items[i].device_minor == minor)
            return systems->items[i].kind;
    /* Mounted nowhere that we see. Only disks have a number of their own. */
    return major != 0 ? PI_FILE_SYSTEM_DISK : PI_FILE_SYSTEM_REMOTE;
}

pi_file_system pi_file_systems_of_mount(const pi_file_systems *systems, uint64_t id) {
    for (size_t i = 0; i < systems->count; i++)
        if (systems->items[i].id == id)
            return pi_file_systems_of_device(systems, systems->items[i].device_major,
                                             systems->items[i].device_minor);
    return PI_FILE_SYSTEM_REMOTE;
}

static bool is_in_our_user_namespace(int process) {
    char ours[64], its[64];
    ssize_t own_length = readlink("/proc/self/ns/user", ours, sizeof ours);
    ssize_t length = readlinkat(process, "ns/user", its, sizeof its);
    return length > 0 && length == own_length && memcmp(ours, its, (size_t)length) == 0;
}

/* *is_there: there is such a file, not a recorded tree without one. */
static int read_mounts(pi_file_systems *systems, int directory, const char *path,
                       bool trusts_overlays, bool *is_there) {
    pi_buffer text = {0};
    int result = pi_read_file_at(directory, path, &text, LARGEST_MOUNTS);
    *is_there = result != -ENOENT;
    if (result == 0)
        result = pi_file_systems_add(systems, text.data, text.length, trusts_overlays);
    pi_buffer_free(&text);
    return pi_is_exhaustion(-result) ? result : 0;
}

/* The mount that a root is in. After chroot mountinfo doesn't tell, unless one is just there. */
static bool find_root(int directory, const char *path, pi_mount *mount) {
    struct statx status;
    if (statx(directory, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_MNT_ID, &status) != 0 ||
        (status.stx_mask & STATX_MNT_ID) == 0)
        return false;
    *mount = (pi_mount){.id = status.stx_mnt_id,
                        .device_major = status.stx_dev_major,
                        .device_minor = status.stx_dev_minor,
                        .kind = PI_FILE_SYSTEM_DISK};
    return true;
}

/* -ENOMEM, or 0. */
static int take_own_root(pi_file_systems *systems) {
    pi_mount root;
    if (systems->root != NULL)
        root = *systems->root;
    else if (!find_root(AT_FDCWD, "/", &root))
        return 0;
    else if (!add(systems, &root))
        return -ENOMEM;
    systems->has_own_root = true;
    systems->own_root_major = root.device_major;
    systems->own_root_minor = root.device_minor;
    systems->root = NULL;
    return 0;
}

static bool may_open_root(const pi_file_systems *systems, int process) {
    pi_mount root;
    if (systems->root != NULL)
        return pi_file_systems_of_device(systems, systems->root->device_major,
                                         systems->root->device_minor) != PI_FILE_SYSTEM_REMOTE;
    return find_root(process, "root", &root) &&
           pi_file_systems_of_mount(systems, root.id) != PI_FILE_SYSTEM_REMOTE;
}

int pi_file_systems_read(pi_file_systems *systems, int process) {
    bool is_there;
    int result = read_mounts(systems, AT_FDCWD, "/proc/self/mountinfo", true, &is_there);
    if (result == 0)
        result = take_own_root(systems);
    if (result != 0)
        return result;
    result =
        read_mounts(systems, process, "mountinfo", is_in_our_user_namespace(process), &is_there);
    systems->may_open_root = !is_there || may_open_root(systems, process);
    return result;
}

void pi_file_systems_free(pi_file_systems *systems) {
    free(systems->items);
    *systems = (pi_file_systems){0};
}
