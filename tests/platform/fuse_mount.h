/* A FUSE file system with one file, "file", whose server answers what it is told to. */
#ifndef TESTS_PLATFORM_FUSE_MOUNT_H
#define TESTS_PLATFORM_FUSE_MOUNT_H

#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>

/* What the server and its test share. */
typedef struct fuse_board {
    atomic_int is_mounted;
    atomic_int answers_no_read;  /* reads of the file hang while it is set */
    atomic_int reads_unanswered; /* how many do */
    atomic_int flushes;          /* that were asked for; none is answered, but for */
    atomic_int answers_flushes;  /* this being set */
} fuse_board;

typedef struct fuse_mount {
    pid_t server;
    fuse_board *board;
    char path[64]; /* of the file, through the server's mount namespace */
} fuse_mount;

/* Serves these bytes as a program that may be executed. Skips the test where this user, or this
 * kernel, can't mount. */
fuse_mount fuse_start(const void *bytes, size_t length);

/* Ends the server, and with it all that hangs. */
void fuse_end(fuse_mount *mount);

#endif
