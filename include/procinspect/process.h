/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_PROCESS_H
#define PROCINSPECT_PROCESS_H

#include <procinspect/context.h>
#include <procinspect/environment.h>
#include <procinspect/module.h>
#include <procinspect/open_file.h>
#include <procinspect/thread.h>
#include <procinspect/unavailable.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Processes: the list of them, a handle to one, and what one can be asked.
 *
 *     const procinspect_process_list *list;
 *     if (procinspect_process_list_read(context, NULL, &list, &error) == 0) {
 *         for (size_t i = 0; i < list->count; i++)
 *             printf("%d %s\n", list->items[i]->pid, list->items[i]->name);
 *         procinspect_process_list_free(list);
 *     }
 *
 * What can be asked of a process. A query names the members it wants as a set of these bits, and
 * only what they need is read; `known` of the answer has the bits of what could be read. A member
 * whose bit is not in `known` holds 0 or NULL, and means nothing. Linux sources stand at each
 * member of procinspect_process_info below.
 *
 * A process whose main thread has ended (pthread_exit in main) lives on as long as another thread
 * does. What the main thread's files no longer tell (STATE, TRACER, command line, executable,
 * memory, open files, environment, modules) is then told by those of the first thread that lives,
 * below /proc/PID/task/TID; its threads show the main thread as 'Z'.
 */
#define PROCINSPECT_PROCESS_NAME (UINT64_C(1) << 0)
#define PROCINSPECT_PROCESS_PARENT (UINT64_C(1) << 1)
#define PROCINSPECT_PROCESS_GROUP (UINT64_C(1) << 2)
#define PROCINSPECT_PROCESS_SESSION (UINT64_C(1) << 3)
#define PROCINSPECT_PROCESS_STATE (UINT64_C(1) << 4)
#define PROCINSPECT_PROCESS_NICE (UINT64_C(1) << 5)
#define PROCINSPECT_PROCESS_THREAD_COUNT (UINT64_C(1) << 6)
#define PROCINSPECT_PROCESS_START_TIME (UINT64_C(1) << 7)
#define PROCINSPECT_PROCESS_CPU_TIME (UINT64_C(1) << 8)
#define PROCINSPECT_PROCESS_USER_ID (UINT64_C(1) << 9)
#define PROCINSPECT_PROCESS_USER_NAME (UINT64_C(1) << 10)
#define PROCINSPECT_PROCESS_COMMAND_LINE (UINT64_C(1) << 11)
#define PROCINSPECT_PROCESS_EXECUTABLE (UINT64_C(1) << 12)
#define PROCINSPECT_PROCESS_TRACER (UINT64_C(1) << 13)
#define PROCINSPECT_PROCESS_VIRTUAL_MEMORY (UINT64_C(1) << 14)
#define PROCINSPECT_PROCESS_PEAK_VIRTUAL_MEMORY (UINT64_C(1) << 15)
#define PROCINSPECT_PROCESS_RESIDENT_MEMORY (UINT64_C(1) << 16)
#define PROCINSPECT_PROCESS_PEAK_RESIDENT_MEMORY (UINT64_C(1) << 17)
#define PROCINSPECT_PROCESS_DATA_MEMORY (UINT64_C(1) << 18)
#define PROCINSPECT_PROCESS_SWAPPED_MEMORY (UINT64_C(1) << 19)
#define PROCINSPECT_PROCESS_OPEN_FILE_COUNT (UINT64_C(1) << 20)
#define PROCINSPECT_PROCESS_CHILDREN (UINT64_C(1) << 21)
#define PROCINSPECT_PROCESS_THREADS (UINT64_C(1) << 22)
#define PROCINSPECT_PROCESS_MODULES (UINT64_C(1) << 23)
#define PROCINSPECT_PROCESS_OPEN_FILES (UINT64_C(1) << 24)
#define PROCINSPECT_PROCESS_ENVIRONMENT (UINT64_C(1) << 25)
/* Is this a web job, or the management site itself? Two yes or no, answered from the environment
 * without handing any of it out: allowed where looking is. */
#define PROCINSPECT_PROCESS_SITE_ROLE (UINT64_C(1) << 26)
/* Name and type of a web job, which are values of its environment: they take what ENVIRONMENT takes
 * (the context's allow bit and the authorize callback's consent, asked for web jobs only), and a
 * context that redacts either of the two variables holds both back. Asks for SITE_ROLE, too. */
#define PROCINSPECT_PROCESS_WEB_JOB (UINT64_C(1) << 27)

/* All that one read of /proc/PID/stat answers: a listing of these opens one file a process, and one
 * more only where the name was cut by the kernel. */
#define PROCINSPECT_PROCESS_BASIC UINT64_C(0x1ff)
/* Everything there is in this version. */
#define PROCINSPECT_PROCESS_EVERYTHING UINT64_C(0xfffffff)

/*
 * One process as it was when it was read; not an atomic picture, since a running process changes
 * between two files of /proc. Owned by the list or by the call that it came from.
 */
typedef struct procinspect_process_info {
    uint64_t known; /* PROCINSPECT_PROCESS_… bits of the members that could be read */
    int32_t pid;    /* always known */

    /* PARENT: the parent's pid, 0 for a process without one. stat, field 4. */
    int32_t parent_pid;
    /* GROUP and SESSION: stat, fields 5 and 6. */
    int32_t process_group_id;
    int32_t session_id;
    /* STATE: the kernel's letter for the main thread, 'R', 'S', 'D', 'T', 't', 'Z' …; stat,
     * field 3. 'Z', a zombie, only where no other thread lives. */
    uint32_t os_state;
    /* NICE: −20 to 19. stat, field 19. */
    int32_t nice;
    /* THREAD_COUNT: stat, field 20; 1 for a zombie. */
    uint32_t thread_count;
    /* USER_ID: the effective user, from the owner of the directory /proc/PID. */
    uint32_t user_id;
    /* TRACER: pid of the debugger attached to the main thread, 0 for none; of the first that lives
     * where that one has ended. status, TracerPid. */
    int32_t tracer_pid;
    /* OPEN_FILE_COUNT: descriptors in use, saturating. Entries of /proc/PID/fd. */
    uint32_t open_file_count;

    /* START_TIME: nanoseconds since 1970-01-01 UTC, in steps of a clock tick (10 ms); stat, field
     * 22, which counts from boot, and the boot time as it was when the context was made. */
    int64_t start_time_unix_ns;
    /* START_TIME: the same since boot. With the pid it names a process for ever (until the next
     * boot). */
    uint64_t start_time_since_boot_ns;
    /* CPU_TIME: in user mode and in the kernel, all threads, in steps of a clock tick. stat, fields
     * 14, 15. */
    uint64_t user_cpu_time_ns;
    uint64_t kernel_cpu_time_ns;

    /* NAME: comm (stat, field 2), completed from the last component of argv[0] where the kernel cut
     * it at 15 bytes and that component starts with it and has at most 255. */
    const char *name;
    /* USER_NAME: the name of user_id from the user database, its decimal number where it has none.
     */
    const char *user_name;
    /* EXECUTABLE: full path of the executable in the target's mount namespace (a chroot's directory
     * stands before it), without the kernel's " (deleted)". /proc/PID/exe. Unknown for a kernel
     * thread. */
    const char *executable_path;
    const void *executable_path_bytes; /* the same as the kernel has it, not repaired */
    size_t executable_path_bytes_length;
    /* COMMAND_LINE: the arguments joined by single spaces; an empty text for a process that has
     * none, such as a kernel thread; unknown for a zombie, and, as ENVIRONMENT, for a process that
     * is in the middle of execve for longer than 20 ms. /proc/PID/cmdline, of which at most 1
     * MiB is taken. */
    const char *command_line;
    const void *command_line_bytes; /* as in cmdline: each argument ends with a NUL */
    size_t command_line_bytes_length;

    /* VmSize, VmPeak, VmRSS, VmHWM, VmData, VmSwap of /proc/PID/status. Unknown where the process
     * has no memory of its own (kernel threads, zombies). */
    uint64_t virtual_memory_bytes;
    uint64_t peak_virtual_memory_bytes;
    uint64_t resident_memory_bytes;
    uint64_t peak_resident_memory_bytes;
    uint64_t data_memory_bytes;
    uint64_t swapped_memory_bytes;

    /* CHILDREN: pids of the direct children, ascending; one walk over the stat files of all
     * processes. */
    const int32_t *child_pids;
    size_t child_count;

    /* THREADS, MODULES, OPEN_FILES, ENVIRONMENT: as from the calls of those names, owned by this
     * info. */
    const procinspect_thread_list *threads;
    const procinspect_module_list *modules;
    const procinspect_open_file_list *open_files;
    const procinspect_environment *environment;

    /* SITE_ROLE: 1 or 0. /proc/PID/environ. */
    uint32_t is_management_site; /* APP_POOL_ID starts with "~1" */
    uint32_t is_web_job;         /* WEBJOBS_NAME is there */
    /* WEB_JOB: values of WEBJOBS_NAME and WEBJOBS_TYPE, NULL where the process has no such
     * variable. */
    const char *web_job_name;
    const char *web_job_type;

    /* Why members that were asked for are not known. */
    const procinspect_unavailable *const *unavailable;
    size_t unavailable_count;
} procinspect_process_info;

/* Processes by ascending pid. */
typedef struct procinspect_process_list {
    const procinspect_process_info *const *items;
    size_t count;
} procinspect_process_list;

/* Query flag: the processes of all users, not only of the host's effective one. Needs a context
 * with PROCINSPECT_USER_SCOPE_ALL. */
enum { PROCINSPECT_PROCESS_QUERY_ALL_USERS = 0x1 };

/* What a listing is asked for. */
typedef struct procinspect_process_query {
    uint32_t struct_size; /* set by _init */
    uint32_t flags;       /* PROCINSPECT_PROCESS_QUERY_… */
    uint64_t members;     /* PROCINSPECT_PROCESS_… bits; 0: PROCINSPECT_PROCESS_BASIC */
} procinspect_process_query;

PROCINSPECT_API void procinspect_process_query_init(procinspect_process_query *query,
                                                    size_t struct_size);

/*
 * Lists the processes. query may be NULL. A process that ends while it is read is left out; one
 * that refuses a member stays, with that member in its `unavailable`. CHILDREN, THREADS, MODULES,
 * OPEN_FILES and WEB_JOB are not for lists: INVALID_ARGUMENT. ENVIRONMENT takes a context that
 * allows it; the authorize callback is then asked for each process, of one that has just been
 * started perhaps twice.
 *
 * All answers together take at most 256 MiB, and no process can use them up for the others: each
 * has a share for command line, executable and environment, about what an equal division gives.
 * What is longer is not known, with TOO_LARGE in `unavailable`; of this process alone
 * procinspect_process_info_read gives it.
 *
 * On success *list is the caller's, to be freed with procinspect_process_list_free, and everything
 * reached through it lives until then.
 *
 * Errors: INVALID_ARGUMENT, POLICY (all users asked for with a context for the own one,
 * environments with one that doesn't allow them), IO, TOO_LARGE (more processes than that holds),
 * NO_MEMORY, NO_RESOURCES.
 */
PROCINSPECT_API int32_t procinspect_process_list_read(const procinspect_context *context,
                                                      const procinspect_process_query *query,
                                                      const procinspect_process_list **list,
                                                      procinspect_error *error);
PROCINSPECT_API void procinspect_process_list_free(const procinspect_process_list *list);

/*
 * A handle to one process. It holds the process itself (its directory in /proc and a pidfd), not
 * its number: whatever is asked through it is answered by that process, or with GONE, or with
 * REPLACED where another process has its number by now. It belongs to one thread at a time and
 * holds two descriptors (close-on-exec).
 */
typedef struct procinspect_process procinspect_process;

/*
 * Opens the process with this pid; 0 is the calling process (NOT_FOUND where the context's
 * proc_root isn't the system that it runs in). Free with procinspect_process_free.
 *
 * Errors: INVALID_ARGUMENT (a negative pid), NOT_FOUND, GONE or REPLACED (it ended while it was
 * opened), POLICY (user scope, or the callback refused PROCINSPECT_ACTION_LOOK), PERMISSION, IO,
 * NO_MEMORY, NO_RESOURCES.
 */
PROCINSPECT_API int32_t procinspect_process_open(const procinspect_context *context, int32_t pid,
                                                 procinspect_process **process,
                                                 procinspect_error *error);
PROCINSPECT_API void procinspect_process_free(procinspect_process *process);

/* The pid of the handle's process; the real one for a handle opened with 0. */
PROCINSPECT_API int32_t procinspect_process_pid(const procinspect_process *process);

/* 0 while the process runs or is a zombie; GONE or REPLACED when it has ended and was waited for.
 * Any other error (INVALID_ARGUMENT, PERMISSION, IO, NO_MEMORY, NO_RESOURCES: looking takes a
 * descriptor) tells nothing of the process: it couldn't be looked at. */
PROCINSPECT_API int32_t procinspect_process_check(const procinspect_process *process,
                                                  procinspect_error *error);

/*
 * Reads what `members` names of one process; 0 means PROCINSPECT_PROCESS_EVERYTHING. It succeeds as
 * long as the process is there: what can't be read is missing from `known` and explained in
 * `unavailable`. ENVIRONMENT and WEB_JOB are explained so, too, where the policy refuses them.
 *
 * On success *info is the caller's, to be freed with procinspect_process_info_free, and everything
 * reached through it lives until then.
 *
 * Errors: INVALID_ARGUMENT (unknown bits), GONE, REPLACED, IO (CHILDREN where /proc can't be
 * listed), TOO_LARGE (more than 256 MiB of answers), NO_MEMORY, NO_RESOURCES.
 */
PROCINSPECT_API int32_t procinspect_process_info_read(const procinspect_process *process,
                                                      uint64_t members,
                                                      const procinspect_process_info **info,
                                                      procinspect_error *error);
PROCINSPECT_API void procinspect_process_info_free(const procinspect_process_info *info);

/* The parts alone; their contracts stand in thread.h, module.h, open_file.h and environment.h. */
PROCINSPECT_API int32_t procinspect_thread_list_read(const procinspect_process *process,
                                                     const procinspect_thread_query *query,
                                                     const procinspect_thread_list **list,
                                                     procinspect_error *error);
PROCINSPECT_API int32_t procinspect_module_list_read(const procinspect_process *process,
                                                     const procinspect_module_query *query,
                                                     const procinspect_module_list **list,
                                                     procinspect_error *error);
PROCINSPECT_API int32_t procinspect_open_file_list_read(const procinspect_process *process,
                                                        const procinspect_open_file_list **list,
                                                        procinspect_error *error);
PROCINSPECT_API int32_t procinspect_environment_read(const procinspect_process *process,
                                                     const procinspect_environment_query *query,
                                                     const procinspect_environment **environment,
                                                     procinspect_error *error);

#ifdef __cplusplus
}
#endif

#endif
