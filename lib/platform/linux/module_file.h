/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_MODULE_FILE_H
#define PI_PLATFORM_LINUX_MODULE_FILE_H

#include "platform/linux/file_systems.h"
#include "platform/linux/maps.h"

/*
 * The file behind a mapping. Its path is the target's to choose, in a mount namespace that may be
 * the target's to build: nothing is opened for reading before it is known to be a regular file, and
 * nothing below /dev, and what was opened has to be the mapped file. Nor is anything opened whose
 * file system need not answer: EREMOTE.
 */

/* Where files are looked for. */
typedef struct pi_module_roots {
    int root; /* the target's, -1 where it can't be used */
    const pi_file_systems *systems;
} pi_module_roots;

typedef struct pi_module_file {
    int descriptor; /* -1 where os_errno says why */
    int os_errno;
    bool is_looked_for;  /* os_errno is what looking for it gave */
    bool is_path_good;   /* the path leads to the mapped file, readable or not */
    bool is_mark_a_name; /* and " (deleted)" at its end belongs to it */
} pi_module_file;

/*
 * The path of a mapping without escapes; room for the mapping's path and a NUL, its length is
 * returned. Exact where `process`, the directory of the running process, tells; else every \012 is
 * taken for a newline.
 */
size_t pi_module_file_name(int process, const pi_mapping *mapping, char *path);

/* Looks for the file by that path (cut for a moment to try it without its mark), below the target's
 * root and below ours: maps shows paths as they are from our root where that leads there. */
pi_module_file pi_module_file_find(const pi_module_roots *roots, const pi_mapping *mapping,
                                   char *path, size_t length);

/* Through map_files, below the process's directory: needs CAP_SYS_ADMIN or
 * CAP_CHECKPOINT_RESTORE. The mapping's file system is one that answers. -1 and errno where that
 * fails. */
int pi_module_file_open_mapped(int process, const pi_mapping *mapping);

#endif
