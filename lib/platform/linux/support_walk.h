/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_SUPPORT_WALK_H
#define PI_PLATFORM_LINUX_SUPPORT_WALK_H

#include <sys/stat.h>

#include "platform/linux/file_systems.h"

/*
 * Finds a file without trusting anything on the way: one name after the other is opened as a mere
 * handle (O_PATH) below the one before, never above the root, and judged before it is used. No file
 * system that need not answer is asked, links are followed by their text alone (those of /proc lead
 * nowhere else), and whatever isn't a regular file is never opened.
 */
typedef struct pi_support_root {
    int descriptor; /* O_PATH */
    const pi_file_systems *systems;
    /* Every directory, link and file has to belong to root, and nobody else may write it. Otherwise
     * whoever can plant them may have planted anything, and everybody has to be allowed to read it:
     * a link leads this process, which may be root's, no further than its maker. */
    bool is_roots_alone;
} pi_support_root;

enum { PI_SUPPORT_REASON_SIZE = 400 };

/*
 * A handle on the regular file that an absolute path leads to, and what was found of it; symbolic
 * links lead on. -1 and why: os_errno ENOENT where there is no such file, others where there is one
 * that isn't to be had.
 */
typedef struct pi_support_found {
    int handle;
    int os_errno;
    bool is_seen; /* something of that name is there, whatever became of it */
    struct statx status;
    char reason[PI_SUPPORT_REASON_SIZE]; /* a sentence */
} pi_support_found;

void pi_support_walk(const pi_support_root *root, const char *path, pi_support_found *found);

#endif
