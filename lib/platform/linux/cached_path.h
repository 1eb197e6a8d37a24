/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CACHED_PATH_H
#define PI_PLATFORM_LINUX_CACHED_PATH_H

/*
 * A handle (O_PATH) on what an absolute path below `root` (-1: our own) names, found in the
 * kernel's cache of names alone: no file system is asked, so none can keep us waiting. What a
 * process has open or mapped is in there. -1 and errno; EREMOTE where the cache doesn't say, or
 * where this kernel, older than 5.12, can't look so. No symbolic link is followed.
 */
int pi_cached_path_open(int root, const char *path);

#endif
