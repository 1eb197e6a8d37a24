/* SPDX-License-Identifier: MIT */
#include "platform/linux/support_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

/* Names on the way, those behind links included: far more than any installation has. */
enum {
    MAX_STEPS = 128,
    MAX_ATTEMPTS = 16, /* at a name: a rename anywhere in the system can disturb one */
    QUOTE_SIZE = 200
};

typedef struct walk {
    const pi_support_root *root;
    pi_support_found *found;
    int handle;          /* what `done` names; its status is found->status */
    char done[PATH_MAX]; /* without links; empty for the root */
    char left[PATH_MAX]; /* begins with a slash, or is empty */
    unsigned steps;
} walk;

/* `what` the path that was reached is, or has. Always false. */
__attribute__((format(printf, 3, 4))) static bool refuse(walk *walking, int os_errno,
                                                         const char *format, ...) {
    char quote[QUOTE_SIZE], text[PI_SUPPORT_REASON_SIZE - QUOTE_SIZE - 8];
    const char *path = walking->done[0] != '\0' ? walking->done : "/";
    pi_utf8_repair_into(quote, sizeof quote, path, strlen(path));
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    walking->found->os_errno = os_errno;
    snprintf(walking->found->reason, sizeof walking->found->reason, "%s %s.", quote, text);
    return false;
}

/* May what was reached be used? */
static bool judge(walk *walking) {
    const struct statx *status = &walking->found->status;
    uint64_t mount = (status->stx_mask & STATX_MNT_ID) != 0 ? status->stx_mnt_id : 0;
    if (pi_file_systems_of_mount(walking->root->systems, mount) == PI_FILE_SYSTEM_REMOTE)
        return refuse(walking, EREMOTE,
                      "is on a file system that may never answer (FUSE, a network)");
    if (!walking->root->is_roots_alone) {
        unsigned needed = S_ISDIR(status->stx_mode) ? S_IXOTH : S_IROTH;
        return S_ISLNK(status->stx_mode) || (status->stx_mode & needed) != 0 ||
               refuse(walking, EACCES, "isn't for everybody to read");
    }
    if (status->stx_uid != 0)
        return refuse(walking, EPERM, "belongs to user %u: what a debugger runs has to be root's",
                      (unsigned)status->stx_uid);
    /* Of a file with an access list the group's bits are the most that any of it allows. */
    if (!S_ISLNK(status->stx_mode) && (status->stx_mode & (S_IWGRP | S_IWOTH)) != 0)
        return refuse(walking, EPERM,
                      "can be written by others than root: what a debugger runs must not be");
    return true;
}

/* Takes over the handle. */
static bool look_at(walk *walking, int handle) {
    if (walking->handle != walking->root->descriptor)
        pi_close(walking->handle);
    walking->handle = handle;
    if (statx(handle, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
              STATX_BASIC_STATS | STATX_MNT_ID, &walking->found->status) != 0)
        return refuse(walking, errno, "can't be looked at: %s", strerrordesc_np(errno));
    return judge(walking);
}

static bool begin_again(walk *walking) {
    walking->done[0] = '\0';
    return look_at(walking, walking->root->descriptor);
}

/* Takes the next name out of `left`; NULL at its end. */
static const char *take_name(walk *walking, char name[NAME_MAX + 2]) {
    const char *from = walking->left + strspn(walking->left, "/");
    size_t length = strcspn(from, "/");
    size_t kept = length <= NAME_MAX ? length : NAME_MAX + 1; /* too long for any file system */
    memcpy(name, from, kept);
    name[kept] = '\0';
    memmove(walking->left, from + length, strlen(from + length) + 1);
    return length != 0 ? name : NULL;
}

/* What is left goes on at `directory`/`path`, from the root. */
static bool go_on_at(walk *walking, const char *directory, const char *path) {
    char whole[PATH_MAX];
    int length = snprintf(whole, sizeof whole, "%s/%s%s", directory, path, walking->left);
    if (length < 0 || (size_t)length >= sizeof whole)
        return refuse(walking, ENAMETOOLONG, "leads to a path that is too long");
    memcpy(walking->left, whole, (size_t)length + 1);
    return begin_again(walking);
}

static bool go_up(walk *walking) {
    char above[PATH_MAX];
    const char *last = strrchr(walking->done, '/');
    size_t length = last != NULL ? (size_t)(last - walking->done) : 0;
    memcpy(above, walking->done, length);
    above[length] = '\0';
    return go_on_at(walking, above, "");
}

static bool follow(walk *walking, const char *directory) {
    char target[PATH_MAX];
    ssize_t length = readlinkat(walking->handle, "", target, sizeof target - 1);
    if (length <= 0)
        return refuse(walking, length < 0 ? errno : ELOOP, "is a link that can't be read");
    target[length] = '\0';
    return go_on_at(walking, target[0] == '/' ? "" : directory, target);
}

static int open_below(int directory, const char *name) {
    struct open_how how = {
        .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long handle = -1;
    for (int i = 0; i < MAX_ATTEMPTS; i++) {
        handle = syscall(SYS_openat2, directory, name, &how, sizeof how);
        if (handle >= 0 || (errno != EINTR && errno != EAGAIN))
            break;
    }
    return (int)handle;
}

static bool go_down(walk *walking, const char *name) {
    char directory[PATH_MAX];
    size_t length = strlen(walking->done), name_length = strlen(name);
    if (length + 1 + name_length >= sizeof walking->done)
        return refuse(walking, ENAMETOOLONG, "has too long a path below it");
    memcpy(directory, walking->done, length + 1);
    int handle = open_below(walking->handle, name);
    int os_errno = errno;
    walking->done[length] = '/';
    memcpy(walking->done + length + 1, name, name_length + 1);
    if (handle < 0 && (os_errno == ENOENT || os_errno == ENOTDIR))
        return refuse(walking, ENOENT, "isn't there");
    if (handle < 0)
        return refuse(walking, os_errno, "can't be opened: %s", strerrordesc_np(os_errno));
    walking->found->is_seen |= walking->left[strspn(walking->left, "/")] == '\0';
    if (!look_at(walking, handle))
        return false;
    return S_ISLNK(walking->found->status.stx_mode) ? follow(walking, directory) : true;
}

static bool go(walk *walking) {
    char name[NAME_MAX + 2];
    if (!begin_again(walking))
        return false;
    while (take_name(walking, name) != NULL) {
        if (++walking->steps > MAX_STEPS)
            return refuse(walking, ELOOP, "is behind too many links");
        bool goes_on = strcmp(name, ".") == 0    ? true
                       : strcmp(name, "..") == 0 ? go_up(walking)
                                                 : go_down(walking, name);
        if (!goes_on)
            return false;
    }
    return S_ISREG(walking->found->status.stx_mode) ||
           refuse(walking, EINVAL, "is no regular file, and isn't opened");
}

void pi_support_walk(const pi_support_root *root, const char *path, pi_support_found *found) {
    walk walking = {.root = root, .found = found, .handle = root->descriptor};
    *found = (pi_support_found){.handle = -1};
    size_t length = strlen(path);
    if (length >= sizeof walking.left) {
        refuse(&walking, ENAMETOOLONG, "has too long a path below it");
        return;
    }
    memcpy(walking.left, path, length + 1);
    if (go(&walking))
        found->handle = walking.handle;
    else if (walking.handle != root->descriptor)
        pi_close(walking.handle);
}
