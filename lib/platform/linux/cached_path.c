/* SPDX-License-Identifier: MIT */
#include "platform/linux/cached_path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A rename or a mount anywhere in the system can disturb an attempt. */
enum { MAX_ATTEMPTS = 16 };

int pi_cached_path_open(int root, const char *path) {
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED,
    };
    if (root >= 0)
        how.resolve |= RESOLVE_IN_ROOT;
    long descriptor = -1;
    for (int i = 0; i < MAX_ATTEMPTS; i++) {
        descriptor = syscall(SYS_openat2, root >= 0 ? root : AT_FDCWD, path, &how, sizeof how);
        if (descriptor >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    if (descriptor < 0 && (errno == EAGAIN || errno == EINVAL || errno == ENOSYS))
        errno = EREMOTE;
    return (int)descriptor;
}
