/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_STAT_H
#define PI_PLATFORM_LINUX_STAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The members of /proc/PID/stat (and of /proc/PID/task/TID/stat) that we use; proc(5) numbers them.
 */
typedef struct pi_stat {
    int32_t pid;      /* field 1 */
    const char *name; /* 2, as the kernel has it: any bytes, no end mark */
    size_t name_length;
    char state;                 /* 3 */
    int32_t parent_pid;         /* 4 */
    int32_t process_group_id;   /* 5 */
    int32_t session_id;         /* 6 */
    bool is_kernel_thread;      /* 9, PF_KTHREAD */
    bool has_begun_to_end;      /* 9, PF_EXITING: a zombie soon, or already */
    uint64_t user_ticks;        /* 14 */
    uint64_t kernel_ticks;      /* 15 */
    int32_t priority;           /* 18 */
    int32_t nice;               /* 19 */
    uint32_t thread_count;      /* 20 */
    uint64_t start_ticks;       /* 22, since boot */
    int32_t exit_signal;        /* 38, what its parent hears its end by */
    uint32_t realtime_priority; /* 40 */
    uint32_t scheduling_policy; /* 41 */
} pi_stat;

/* False where the bytes are no complete stat line; *stat is untouched then. The name points into
 * the bytes. */
bool pi_stat_parse(const char *bytes, size_t length, pi_stat *stat);

/* True for a process or thread that has ended and waits to be waited for. */
bool pi_stat_is_dead(const pi_stat *stat);

/*
 * True for a process whose only thread is in the middle of its end: the kernel takes its memory
 * apart, which can last, and shows none any more, while its state is still that of a living one.
 */
bool pi_stat_is_ending(const pi_stat *stat);

/* True for a process whose main thread has ended, or is about to, before other threads: living.h.
 */
bool pi_stat_has_lost_main_thread(const pi_stat *stat);

#endif
