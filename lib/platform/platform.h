/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_PLATFORM_H
#define PI_PLATFORM_PLATFORM_H

#include <stdbool.h>

#include <procinspect/kill.h>
#include <procinspect/process.h>

#include "base/arena.h"
#include "model/snapshot.h"

/*
 * What an operating system gives, behind one contract: each folder beside this file fills it, and
 * unsupported/ is the template for the next one. Nothing here knows the host's policy: lib/api asks
 * that first.
 *
 * All functions return 0 or a negative procinspect code with *error filled (nullable), outputs
 * untouched on failure. Results are built in the arena that is handed in; where it can't give more
 * the code is NO_MEMORY, or TOO_LARGE where its limit stopped a hostile target.
 *
 * Structs of the public headers are filled directly: `known` bits for what could be read,
 * `unavailable` entries for what was asked for and could not.
 */

/* Where processes are looked for. Immutable; shared between threads. */
typedef struct pi_system pi_system;

/* proc_root NULL: the running system itself. */
int32_t pi_system_open(const char *proc_root, pi_system **system, procinspect_error *error);
void pi_system_close(pi_system *system);

/* True where this is the running system, not a recorded tree: only then can anything but looking be
 * done. */
bool pi_system_is_live(const pi_system *system);

/* The effective user of the calling process. */
uint32_t pi_own_user_id(void);
int32_t pi_own_pid(void);

/* Whether parts of this file may be written in any order: not where a program that stores it
 * elsewhere (FUSE) may take it from beginning to end only. */
bool pi_file_takes_any_order(int descriptor);

/*
 * Makes info->environment of the bytes of a process's environment (as of pi_environment_read), for
 * a listing: what of it may be handed out is the host's policy. The bytes are there until something
 * is taken of the arena: they may stand in its room, where pi_arena_copy leaves them. 0;
 * POLICY where nothing may; NO_MEMORY where memory or arena gave no more. info has pid and, where
 * it was asked for, user_id.
 */
typedef struct pi_environment_maker {
    int32_t (*make)(void *user, pi_bytes block, pi_arena *arena, procinspect_process_info *info);
    void *user;
} pi_environment_maker;

/*
 * The processes, by ascending pid, into *list (in the arena). Members are PROCINSPECT_PROCESS_…
 * bits without the parts (CHILDREN, THREADS, MODULES, OPEN_FILES, WEB_JOB); ENVIRONMENT takes a
 * maker, which is NULL otherwise. user_id: only that user's, or PI_ANY_USER.
 */
#define PI_ANY_USER UINT64_MAX
int32_t pi_processes_read(const pi_system *system, uint64_t members, uint64_t user_id,
                          const pi_environment_maker *environment_maker, pi_arena *arena,
                          procinspect_process_list *list, procinspect_error *error);

/* One process, held: pid, start time, and whatever ties us to that very process. */
typedef struct pi_process pi_process;

/* NOT_FOUND where there is no such process (a thread id of a process is none). The system must
 * outlive it. */
int32_t pi_process_open(const pi_system *system, int32_t pid, pi_process **process,
                        procinspect_error *error);
void pi_process_close(pi_process *process);
int32_t pi_process_pid(const pi_process *process);

/* 0 while it runs or is a zombie, else GONE or REPLACED. The readers below answer so too. */
int32_t pi_process_check(const pi_process *process, procinspect_error *error);

/* The owner of the process, for the policy. */
int32_t pi_process_user_id(const pi_process *process, uint32_t *user_id, procinspect_error *error);

/* Members of one process, without the parts except CHILDREN and OPEN_FILE_COUNT. WEB_JOB is for
 * lib/api to fill, and explained here like SITE_ROLE where the environment can't be read. */
int32_t pi_process_read(const pi_process *process, uint64_t members, pi_arena *arena,
                        procinspect_process_info *info, procinspect_error *error);

/* tid 0: all threads. */
int32_t pi_threads_read(const pi_process *process, int32_t tid, uint64_t members, pi_arena *arena,
                        procinspect_thread_list *list, procinspect_error *error);

/* base_address 0: all modules. */
int32_t pi_modules_read(const pi_process *process, uint64_t base_address, uint64_t members,
                        pi_arena *arena, procinspect_module_list *list, procinspect_error *error);

int32_t pi_open_files_read(const pi_process *process, pi_arena *arena,
                           procinspect_open_file_list *list, procinspect_error *error);

/* The environment's bytes as the process has them: NAME=VALUE NUL …; cut at 4 MiB. */
int32_t pi_environment_read(const pi_process *process, pi_arena *arena, pi_bytes *environment,
                            procinspect_error *error);

/* What a capture is asked for; every limit is set. */
typedef struct pi_capture_request {
    uint32_t type; /* MINIDUMP_TYPE bits, only ones that pi_capture_types names */
    uint32_t way;
    uint32_t max_pause_ms;
    uint64_t hold_buffer_bytes;
    uint32_t max_copy_seconds;
    uint64_t max_copy_growth_bytes;
    const char *spool_directory; /* NULL: none */
    bool shared_while_stopped; /* shared memory, too, is taken as it is while the process stands */
    bool leave_out_dontdump;   /* what madvise wants left out of cores isn't taken for its type */
    bool only_check;           /* nothing is stopped, and *snapshot stays as it is */
    /* Nothing is stopped either, and *snapshot is what a capture would give, as far as looking
     * tells: of the registers there are stack and instruction pointers at most, its memory can't be
     * read, and the report has no pauses. */
    bool only_predict;
    const procinspect_cancellation *cancellation; /* nullable */
    /* Nullable. Judges what was read while the process runs: the texts but for its mappings, and
     * how many threads there are. What it answers but 0 ends the capture, before anything is
     * stopped. */
    int32_t (*accept)(const pi_snapshot *beforehand, const void *user, procinspect_error *error);
    const void *user; /* for accept */
} pi_capture_request;

/* The MINIDUMP_TYPE bits that captures of this system can do. */
uint32_t pi_capture_types(void);

/*
 * Stops the process, takes what the request asks for, and lets it run. On success *snapshot is the
 * caller's, to be freed with pi_snapshot_free, and needs neither process nor system any more. After
 * a failure the process runs as before. Errors as of procinspect_dump_capture.
 */
int32_t pi_capture(const pi_process *process, const pi_capture_request *request,
                   pi_snapshot **snapshot, procinspect_error *error);

/* How a tree of processes is to be ended. */
typedef struct pi_kill_request {
    uint64_t user_id;    /* every member has to be this user's; PI_ANY_USER */
    uint32_t grace_ms;   /* 0: none */
    uint32_t timeout_ms; /* for the ends, behind the grace */
    bool include_host;
    bool only_check;
    const procinspect_cancellation *cancellation; /* nullable */
} pi_kill_request;

/*
 * Ends the process and all that it started; *report is in the arena. With include_host it doesn't
 * return where the calling process is in the tree. Errors as of procinspect_kill_tree.
 */
int32_t pi_process_kill_tree(const pi_process *process, const pi_kill_request *request,
                             pi_arena *arena, procinspect_kill_report *report,
                             procinspect_error *error);

#endif
