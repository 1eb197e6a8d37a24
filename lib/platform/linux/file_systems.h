/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_FILE_SYSTEMS_H
#define PI_PLATFORM_LINUX_FILE_SYSTEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What answers for the files of a process. Opening, asking or reading a file on FUSE or a network
 * can wait for ever, for a program that may be the target's own, and nothing cancels that; so can
 * reading memory that such a file, or a userfaultfd, has yet to fill.
 */
typedef enum pi_file_system {
    PI_FILE_SYSTEM_REMOTE, /* a program or a server, or nobody knows: no file of it is touched */
    PI_FILE_SYSTEM_MEMORY, /* the kernel; but what is mapped of it can have a userfaultfd */
    PI_FILE_SYSTEM_DISK    /* the kernel, and a disk */
} pi_file_system;

typedef struct pi_mount {
    uint64_t id;
    uint32_t device_major;
    uint32_t device_minor;
    pi_file_system kind;
} pi_mount;

/* The mounts of this process and of a target, as they were when they were read. Zero-initialised
 * there are none. */
typedef struct pi_file_systems {
    pi_mount *items; /* malloc'ed */
    size_t count;
    size_t capacity;
    const pi_mount *root; /* of the text that was added last: NULL where none is at its "/" */
    bool has_own_root;
    uint32_t own_root_major;
    uint32_t own_root_minor;
    bool may_open_root; /* the target's root directory is no remote one */
} pi_file_systems;

/*
 * Reads them; `process` is the target's directory. The file system that this process has at its own
 * root counts as a disk, whatever it is: without it nothing here runs. 0, or the negative errno of
 * what there was too little of; what can't be read otherwise is not known.
 */
int pi_file_systems_read(pi_file_systems *systems, int process);
void pi_file_systems_free(pi_file_systems *systems);

/* Adds the mounts of one text of mountinfo; of one device, what was added first counts.
 * `trusts_overlays`: whoever mounted them was privileged here, and didn't lay one over FUSE. 0 or
 * -ENOMEM. */
int pi_file_systems_add(pi_file_systems *systems, const char *text, size_t length,
                        bool trusts_overlays);

/* By the id of a mount (statx), and by the device that maps names. */
pi_file_system pi_file_systems_of_mount(const pi_file_systems *systems, uint64_t id);
pi_file_system pi_file_systems_of_device(const pi_file_systems *systems, uint32_t major,
                                         uint32_t minor);

#endif
