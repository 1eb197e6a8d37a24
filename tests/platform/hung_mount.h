/* SPDX-License-Identifier: MIT */
#ifndef TESTS_PLATFORM_HUNG_MOUNT_H
#define TESTS_PLATFORM_HUNG_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * A FUSE file system of a test's own, in a mount namespace of its own, that stops answering when
 * told to. It has one folder; every name in it is the same file, whose bytes are `content`.
 */
typedef struct hung_mount {
    pid_t server;
    volatile bool *is_hung; /* shared with the server */
} hung_mount;

/*
 * Enters new namespaces and mounts at the folder: for a child of the test. The mount is gone with
 * the namespace; the server ends by itself after some seconds, and whatever waits for it goes on.
 * False where this user or this kernel can't.
 */
bool hung_mount_enter(hung_mount *mount, const char *folder, const void *content, size_t length,
                      volatile bool *is_hung);

/* How long the server lives: a call that took as long has waited for it. */
enum { HUNG_MOUNT_SECONDS = 10 };

#endif
