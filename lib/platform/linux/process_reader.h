/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_PROCESS_READER_H
#define PI_PLATFORM_LINUX_PROCESS_READER_H

#include "platform/linux/linux.h"
#include "platform/linux/user_names.h"

/* Reads the members of one process after another; what they share is allocated once. */
typedef struct pi_process_reader {
    const pi_system *system;
    pi_arena *arena;  /* of the answers */
    uint64_t members; /* PROCINSPECT_PROCESS_… bits that are wanted */
    const pi_environment_maker *environment_maker; /* nullable: no ENVIRONMENT */
    size_t share; /* of the arena, for one process's command line, executable and environment */
    procinspect_error *error;
    /* When the last process was started, by what was the last to be read of it; UINT64_MAX where
     * that isn't known. */
    uint64_t start_ticks;
    pi_buffer bytes; /* of the file being read */
    pi_user_names user_names;
} pi_process_reader;

/* What a process's files are opened by: a directory, and what stands before the file's name in the
 * path. */
typedef struct pi_process_files {
    int directory;
    size_t prefix_length;
    /* "1234/" where the directory is the proc root, "" where it is the process's own. */
    char prefix[PI_NUMBER_PATH_SIZE];
} pi_process_files;

void pi_process_reader_end(pi_process_reader *reader);

/* Where the process ended while it was read: neither success nor a failure of the call. */
enum { PI_PROCESS_ENDED = 1 };

/*
 * Fills info, whose pid is set, with the reader's members (without the parts and CHILDREN). 0,
 * PI_PROCESS_ENDED, or a negative code for what ends the whole call: no memory, no descriptors.
 */
int32_t pi_process_reader_read(pi_process_reader *reader, const pi_process_files *files,
                               procinspect_process_info *info);

/* PROCINSPECT_PROCESS_… bits that the stat file answers. */
#define PI_STAT_MEMBERS (PROCINSPECT_PROCESS_BASIC)

#endif
