/* SPDX-License-Identifier: MIT */
#include "platform/linux/module_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "platform/linux/file_identity.h"

static bool is_below_dev(const pi_mapping *mapping) {
    static const char prefix[] = "/dev/";
    return mapping->path_length >= sizeof prefix - 1 &&
           memcmp(mapping->path, prefix, sizeof prefix - 1) == 0;
}

/* A handle on what the path names, without opening it. A path in maps has no symbolic links: one on
 * the way was put there since. */
static int locate(int root, const char *path) {
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    if (root >= 0)
        how.resolve |= RESOLVE_IN_ROOT;
    long descriptor;
    do
        descriptor = syscall(SYS_openat2, root >= 0 ? root : AT_FDCWD, path, &how, sizeof how);
    while (descriptor < 0 && errno == EINTR);
    return (int)descriptor;
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

/* Takes over the handle. A descriptor, or -1 and errno: ESTALE where it is another file. *is_same
 * tells about files that can't be opened too, as far as that shows. */
static int open_if_mapped(int handle, const pi_mapping *mapping, bool *is_same) {
    struct stat status;
    int descriptor = -1;
    *is_same = false;
    if (fstat(handle, &status) == 0) {
        errno = ESTALE;
        if (pi_file_may_be_mapping(&status, mapping)) {
            *is_same = true;
            descriptor = open_located(handle);
        }
    }
    pi_close(handle);
    if (descriptor >= 0 && !pi_file_is_mapping(descriptor, &status, mapping)) {
        pi_close(descriptor);
        *is_same = false;
        descriptor = -1;
        errno = ESTALE;
    }
    return descriptor;
}

/* True where the search is over. */
static bool try_path(int root, const char *path, const pi_mapping *mapping, pi_module_file *file) {
    const int roots[] = {root, -1};
    for (unsigned i = 0; i < 2; i++) {
        int handle = locate(roots[i], path);
        bool is_same = false;
        int descriptor = handle < 0 ? -1 : open_if_mapped(handle, mapping, &is_same);
        int os_errno = errno;
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

pi_module_file pi_module_file_find(int root, const pi_mapping *mapping, pi_mapping_names *names) {
    pi_module_file file = {.descriptor = -1, .os_errno = ENOENT};
    /* No path at all: memfd, say. And below /dev the kernel's mark has to do. */
    if (mapping->path_length == 0 || mapping->path[0] != '/' || is_below_dev(mapping)) {
        file.is_path_good = is_below_dev(mapping) && !mapping->is_marked_deleted;
        return file;
    }
    bool has_escapes = names->restored_length != names->escaped_length;
    for (unsigned without_mark = 0; without_mark < (names->mark_length != 0 ? 2 : 1);
         without_mark++) {
        for (unsigned escaped = 0; escaped < (has_escapes ? 2 : 1); escaped++) {
            char *path = escaped != 0 ? names->escaped : names->restored;
            size_t length = escaped != 0 ? names->escaped_length : names->restored_length;
            size_t cut = length - (without_mark != 0 ? names->mark_length : 0);
            char behind = path[cut];
            path[cut] = '\0';
            bool is_found = try_path(root, path, mapping, &file);
            path[cut] = behind;
            if (is_found) {
                file.is_escaped_name = escaped != 0;
                file.is_marked_name = names->mark_length != 0 && without_mark == 0;
                return file;
            }
        }
    }
    return file;
}

int pi_module_file_open_mapped(int process, const pi_mapping *mapping) {
    char path[64];
    if (is_below_dev(mapping))
        return -1;
    snprintf(path, sizeof path, "map_files/%" PRIx64 "-%" PRIx64, mapping->start, mapping->end);
    int handle = openat(process, path, O_PATH | O_CLOEXEC);
    bool is_same;
    return handle < 0 ? -1 : open_if_mapped(handle, mapping, &is_same);
}
