/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_MODULE_FILE_H
#define PI_PLATFORM_LINUX_MODULE_FILE_H

#include "platform/linux/maps.h"

/*
 * The file behind a mapping. Its path is the target's to choose, in a mount namespace that may be
 * the target's to build: nothing is opened for reading before it is known to be a regular file, and
 * nothing below /dev, and what was opened has to be the mapped file.
 */

/* How a path in maps may be meant. Both texts are terminated, and are the caller's to cut. */
typedef struct pi_mapping_names {
    char *escaped; /* as it stands there */
    size_t escaped_length;
    char *restored; /* with the newlines that \012 mostly means */
    size_t restored_length;
    size_t mark_length; /* of the " (deleted)" at the end of both; 0: there is none */
} pi_mapping_names;

typedef struct pi_module_file {
    int descriptor; /* -1 where os_errno says why */
    int os_errno;
    bool is_path_good;    /* a path leads to the mapped file, readable or not */
    bool is_escaped_name; /* and that path is the escaped one, */
    bool is_marked_name;  /* with the mark in it */
} pi_module_file;

/* Looks for the file by its names, below the target's root and below ours: maps shows paths as they
 * are from our root where that leads there. */
pi_module_file pi_module_file_find(int root, const pi_mapping *mapping, pi_mapping_names *names);

/* Through map_files, below the process's directory: needs CAP_SYS_ADMIN or
 * CAP_CHECKPOINT_RESTORE. -1 where that fails. */
int pi_module_file_open_mapped(int process, const pi_mapping *mapping);

#endif
