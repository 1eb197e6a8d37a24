/* SPDX-License-Identifier: MIT */
#include "platform/linux/module_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "platform/linux/cached_path.h"
#include "platform/linux/file_identity.h"
#include "platform/linux/linux.h"

enum { MAP_FILES_PATH_SIZE = 64 };

static bool is_below_dev(const pi_mapping *mapping) {
    static const char prefix[] = "/dev/";
    return mapping->path_length >= sizeof prefix - 1 &&
           memcmp(mapping->path, prefix, sizeof prefix - 1) == 0;
}

/* The status of what a handle stands for, without asking its file system anew, and the id of its
 * mount. 0, or -1 and errno. */
static int look(int handle, struct stat *status, uint64_t *mount_id) {
    struct statx found;
    if (statx(handle, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
              STATX_TYPE | STATX_INO | STATX_MNT_ID, &found) != 0)
        return -1;
    *status = (struct stat){.st_dev = makedev(found.stx_dev_major, found.stx_dev_minor),
                            .st_ino = found.stx_ino,
                            .st_mode = found.stx_mode};
    *mount_id = (found.stx_mask & STATX_MNT_ID) != 0 ? found.stx_mnt_id : 0;
    return 0;
}

/* Opens what a handle stands for; it is a regular file. */
static int open_located(int handle) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
    int descriptor;
    do
        descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

/*
 * Takes over the handle. A descriptor, or -1 and errno: ESTALE where it is another file, EREMOTE
 * where it is on a file system that need not answer (without `systems`, that is known already).
 * *is_same tells about files that can't be opened too, as far as that shows.
 */
static int open_if_mapped(int handle, const pi_file_systems *systems, const pi_mapping *mapping,
                          bool *is_same) {
    struct stat status;
    uint64_t mount_id;
    int descriptor = -1;
    *is_same = false;
    if (look(handle, &status, &mount_id) == 0) {
        errno = ESTALE;
        if (pi_file_may_be_mapping(&status, mapping)) {
            *is_same = true;
            errno = EREMOTE;
            if (systems == NULL ||
                pi_file_systems_of_mount(systems, mount_id) != PI_FILE_SYSTEM_REMOTE)
                descriptor = open_located(handle);
        }
    }
    pi_close(handle);
    int is_mapping = descriptor < 0 ? 1 : pi_file_is_mapping(descriptor, &status, mapping);
    if (is_mapping == 1)
        return descriptor;
    pi_close(descriptor);
    *is_same = false;
    errno = is_mapping < 0 ? -is_mapping : ESTALE;
    return -1;
}

/* True where the search is over. */
static bool try_path(const pi_module_roots *roots, const char *path, const pi_mapping *mapping,
                     pi_module_file *file) {
    const int places[] = {roots->root, -1};
    for (unsigned i = roots->root >= 0 ? 0 : 1; i < 2; i++) {
        int handle = pi_cached_path_open(places[i], path);
        bool is_same = false;
        int descriptor =
            handle < 0 ? -1 : open_if_mapped(handle, roots->systems, mapping, &is_same);
        int os_errno = errno;
        if (descriptor < 0 && pi_is_exhaustion(os_errno)) {
            file->os_errno = os_errno;
            return true;
        }
        if (is_same) {
            file->descriptor = descriptor;
            file->os_errno = descriptor < 0 ? os_errno : 0;
            file->is_path_good = true;
            return true;
        }
        /* That there is another file says more than that there is none. */
        if (file->os_errno != ESTALE)
            file->os_errno = os_errno;
    }
    return false;
}

pi_module_file pi_module_file_find(const pi_module_roots *roots, const pi_mapping *mapping,
                                   char *path, size_t length) {
    pi_module_file file = {.descriptor = -1, .os_errno = ENOENT, .is_looked_for = true};
    /* No path at all: memfd, say. And below /dev the kernel's mark has to do. */
    if (length == 0 || path[0] != '/' || is_below_dev(mapping)) {
        file.is_path_good = is_below_dev(mapping) && !mapping->is_marked_deleted;
        return file;
    }
    if (try_path(roots, path, mapping, &file)) {
        file.is_mark_a_name = mapping->is_marked_deleted;
    } else if (mapping->is_marked_deleted) {
        size_t mark = mapping->path_length - pi_mapping_path_length_without_mark(mapping);
        path[length - mark] = '\0';
        try_path(roots, path, mapping, &file);
        path[length - mark] = ' ';
    }
    return file;
}

static void write_map_files_path(const pi_mapping *mapping, char path[MAP_FILES_PATH_SIZE]) {
    snprintf(path, MAP_FILES_PATH_SIZE, "map_files/%" PRIx64 "-%" PRIx64, mapping->start,
             mapping->end);
}

size_t pi_module_file_name(int process, const pi_mapping *mapping, char *path) {
    size_t length = pi_maps_unescape(path, mapping->path, mapping->path_length);
    path[length] = '\0';
    if (length == mapping->path_length)
        return length;
    char link_path[MAP_FILES_PATH_SIZE], name[PATH_MAX], unescaped[PATH_MAX];
    write_map_files_path(mapping, link_path);
    ssize_t got = readlinkat(process, link_path, name, sizeof name);
    if (got <= 0 || (size_t)got > mapping->path_length)
        return length;
    /* Something else may be mapped there by now. */
    size_t name_length = (size_t)got;
    if (pi_maps_unescape(unescaped, name, name_length) != length ||
        memcmp(unescaped, path, length) != 0)
        return length;
    memcpy(path, name, name_length);
    path[name_length] = '\0';
    return name_length;
}

int pi_module_file_open_mapped(int process, const pi_mapping *mapping) {
    char path[MAP_FILES_PATH_SIZE];
    if (is_below_dev(mapping)) {
        errno = ENOENT;
        return -1;
    }
    write_map_files_path(mapping, path);
    int handle = openat(process, path, O_PATH | O_CLOEXEC);
    bool is_same;
    return handle < 0 ? -1 : open_if_mapped(handle, NULL, mapping, &is_same);
}
