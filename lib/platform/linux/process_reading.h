/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_PROCESS_READING_H
#define PI_PLATFORM_LINUX_PROCESS_READING_H

#include "platform/linux/living.h"
#include "platform/linux/process_reader.h"

/* One process while it is read. */
typedef struct pi_process_reading {
    pi_process_reader *reader;
    const pi_process_files *files;
    /* Those about memory, program and descriptors: the same, or another thread's (living.h). */
    const pi_process_files *program_files;
    pi_process_files thread_files; /* what program_files points to then */
    pi_living living;
    bool has_turned;       /* the source at hand has asked it: living.main is as of now */
    bool is_kernel_thread; /* as far as that is known by now */
    procinspect_process_info *info;
    const char *refusal; /* why the kernel lets nothing be read; NULL: not asked yet */
    procinspect_unavailable unavailable[8]; /* at most one for each source */
    size_t unavailable_count;
} pi_process_reading;

typedef struct pi_file_path {
    char text[64];
} pi_file_path;

/* Where a file of the process is, for the directory of its files. */
pi_file_path pi_reading_path(const pi_process_files *files, const char *name);

/* The stat file as it is now, or was when this source last turned. 0 or a negative errno. */
int pi_reading_stat(const pi_process_reading *reading, pi_stat_text *text, pi_stat *stat);

/* True for a kernel thread that needs no further look to be taken for one: it stays one, and
 * whether it has ended meanwhile is told by the stat file, which is read last. */
bool pi_reading_is_known_kernel_thread(const pi_process_reading *reading);

/*
 * For a source that found nothing in a file of memory, program or descriptors: READING_AGAIN where
 * program_files are another thread's now, which may tell; 0; or the negative code of what ends the
 * whole call.
 */
enum { PI_READING_AGAIN = 2 };
int32_t pi_reading_turn(pi_process_reading *reading, uint64_t members);

/*
 * Why members are not known. All of these answer 0 where the reason was noted, and the reading goes
 * on with the next member; PI_PROCESS_ENDED; or the negative code of what ends the whole call.
 */

/* A reason of the caller's; static text. */
int32_t pi_reading_add_unavailable(pi_process_reading *reading, uint64_t members, int32_t code,
                                   int os_errno, const char *reason);

/* A file is there, and has nothing of this; or it is not there. */
int32_t pi_reading_explain_nothing(pi_process_reading *reading, uint64_t members, int os_errno);

/* A system call on one of the process's files failed. */
int32_t pi_reading_failed(pi_process_reading *reading, uint64_t members, int os_errno);

/* The same for files that tell of memory or program, which kernel threads and zombies don't have:
 * that, and no privilege, is what their reason names. */
int32_t pi_reading_memory_failed(pi_process_reading *reading, uint64_t members, int os_errno);

/* The arena gave no memory: negative, or PI_READING_TOO_LONG where the share of this process was
 * too small for the file being read. */
enum { PI_READING_TOO_LONG = 3 };
int32_t pi_reading_exhausted(const pi_process_reader *reader);

#endif
