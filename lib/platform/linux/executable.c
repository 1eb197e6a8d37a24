/* SPDX-License-Identifier: MIT */
#include "platform/linux/executable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/linux/cached_path.h"
#include "platform/linux/linux.h"

static const char mark[] = " (deleted)";
enum { MARK_LENGTH = sizeof mark - 1 };

/* The inode behind a path, without asking the file system anew: it need not answer. */
static bool look(int directory, const char *path, int flags, struct statx *status) {
    return statx(directory, path, flags | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO,
                 status) == 0;
}

/*
 * Does the path, mark included, lead to the executable? Then its file is really called so. The
 * path is the target's to choose, and could lead anywhere; but the name of a running program is in
 * the kernel's cache. (FUSE and network file systems don't let it be used: no there.) 1, 0, or a
 * negative errno where there are no descriptors left.
 */
static int is_name_of_file(int directory, const char *prefix, const char *path, size_t length) {
    char link[32], root[32], named[PI_EXECUTABLE_CAPACITY];
    struct statx by_link, by_name;
    strcpy(stpcpy(link, prefix), "exe");
    strcpy(stpcpy(root, prefix), "root");
    memcpy(named, path, length);
    named[length] = '\0';
    int root_handle = openat(directory, root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int handle = root_handle < 0 ? -1 : pi_cached_path_open(root_handle, named);
    bool is_same =
        handle >= 0 && look(handle, "", AT_EMPTY_PATH, &by_name) &&
        look(directory, link, 0, &by_link) && by_link.stx_dev_major == by_name.stx_dev_major &&
        by_link.stx_dev_minor == by_name.stx_dev_minor && by_link.stx_ino == by_name.stx_ino;
    int os_errno = errno;
    pi_close(handle);
    pi_close(root_handle);
    return handle < 0 && pi_is_exhaustion(os_errno) ? -os_errno : is_same;
}

int pi_executable_read(int directory, const char *prefix, char path[PI_EXECUTABLE_CAPACITY],
                       size_t *length) {
    char link[32];
    strcpy(stpcpy(link, prefix), "exe");
    ssize_t got = readlinkat(directory, link, path, PI_EXECUTABLE_CAPACITY);
    if (got < 0)
        return -errno;
    *length = (size_t)got;
    if (*length <= MARK_LENGTH || *length == PI_EXECUTABLE_CAPACITY ||
        memcmp(path + *length - MARK_LENGTH, mark, MARK_LENGTH) != 0)
        return 0;
    int is_name = is_name_of_file(directory, prefix, path, *length);
    if (is_name == 0)
        *length -= MARK_LENGTH;
    return is_name < 0 ? is_name : 0;
}
