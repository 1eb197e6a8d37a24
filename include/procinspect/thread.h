/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_THREAD_H
#define PROCINSPECT_THREAD_H

#include <procinspect/error.h>
#include <procinspect/unavailable.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Threads of a process: the entries of /proc/PID/task. The members that can be asked for, and the
 * `known` bits of an answer: */
#define PROCINSPECT_THREAD_NAME (UINT64_C(1) << 0)
#define PROCINSPECT_THREAD_STATE (UINT64_C(1) << 1)
#define PROCINSPECT_THREAD_PRIORITY (UINT64_C(1) << 2)
#define PROCINSPECT_THREAD_START_TIME (UINT64_C(1) << 3)
#define PROCINSPECT_THREAD_CPU_TIME (UINT64_C(1) << 4)
#define PROCINSPECT_THREAD_WAIT_REASON (UINT64_C(1) << 5)

/* All that one read of /proc/PID/task/TID/stat answers. */
#define PROCINSPECT_THREAD_BASIC UINT64_C(0x1f)
#define PROCINSPECT_THREAD_EVERYTHING UINT64_C(0x3f)

/* Why a thread waits, where that is certain. */
enum {
    PROCINSPECT_WAIT_UNKNOWN = 0,   /* it waits, and /proc doesn't say for what */
    PROCINSPECT_WAIT_SUSPENDED = 1, /* stopped by a signal or by a debugger: state T or t */
    PROCINSPECT_WAIT_DELAY = 2,     /* sleeps in nanosleep or clock_nanosleep */
    PROCINSPECT_WAIT_NONE = 3       /* it doesn't wait: it runs, or has ended */
};

typedef struct procinspect_thread_info {
    uint64_t known; /* PROCINSPECT_THREAD_… bits */
    int32_t pid;    /* the process, always known */
    int32_t tid;    /* always known */
    /* STATE: the kernel's letter, 'R', 'S', 'D', 'T', 't', 'Z', 'X', 'I'; stat, field 3. */
    uint32_t os_state;
    /* PRIORITY: the kernel's current priority (20 + nice for an ordinary thread, negative for real
     * time), nice (−20 to 19), real-time priority (1 to 99, 0 for none) and scheduling policy
     * (Linux's SCHED_…: 0 OTHER, 1 FIFO, 2 RR, 3 BATCH, 5 IDLE, 6 DEADLINE). stat, fields 18, 19,
     * 40, 41. */
    int32_t priority;
    int32_t nice;
    uint32_t realtime_priority;
    uint32_t scheduling_policy;
    /* WAIT_REASON: PROCINSPECT_WAIT_…; from the state and, for a sleeping thread, the system call
     * it is in (/proc/PID/task/TID/syscall, which needs ptrace access: without it the reason of a
     * sleeper is PROCINSPECT_WAIT_UNKNOWN, never an error). */
    uint32_t wait_reason;
    /* START_TIME: nanoseconds since 1970-01-01 UTC, as in procinspect_process_info; stat, field 22.
     */
    int64_t start_time_unix_ns;
    /* CPU_TIME: in user mode and in the kernel, in steps of a clock tick (10 ms). stat, fields 14
     * and 15. */
    uint64_t user_cpu_time_ns;
    uint64_t kernel_cpu_time_ns;
    /* NAME: stat, field 2: at most 15 bytes as a program sets it. A worker of the kernel has what
     * it works on behind that ("kworker/0:0H-events_highpri"), and repaired text may be longer,
     * too. */
    const char *name;
    /* Why members that were asked for are not known. */
    const procinspect_unavailable *const *unavailable;
    size_t unavailable_count;
} procinspect_thread_info;

/* Threads by ascending tid. */
typedef struct procinspect_thread_list {
    const procinspect_thread_info *const *items;
    size_t count;
    int32_t pid; /* their process */
} procinspect_thread_list;

/* What procinspect_thread_list_read (process.h) is asked for; its query may be NULL. */
typedef struct procinspect_thread_query {
    uint32_t struct_size; /* set by _init */
    int32_t tid;      /* this thread only; 0: all. NOT_FOUND where the process has no such thread */
    uint64_t members; /* PROCINSPECT_THREAD_… bits; 0: PROCINSPECT_THREAD_BASIC */
} procinspect_thread_query;

PROCINSPECT_API void procinspect_thread_query_init(procinspect_thread_query *query,
                                                   size_t struct_size);

/*
 * procinspect_thread_list_read gives a list that is the caller's, to be freed with this. A thread
 * that ends while it is read is left out. Errors: INVALID_ARGUMENT, NOT_FOUND, GONE, REPLACED,
 * PERMISSION, IO, TOO_LARGE (more than 1,000,000 threads), NO_MEMORY, NO_RESOURCES.
 */
PROCINSPECT_API void procinspect_thread_list_free(const procinspect_thread_list *list);

#ifdef __cplusplus
}
#endif

#endif
