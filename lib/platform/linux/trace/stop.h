/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_TRACE_STOP_H
#define PI_PLATFORM_LINUX_TRACE_STOP_H

#include <sys/user.h>

#include "platform/linux/trace/helper.h"

/*
 * Stopping all threads of a process and letting them run again, in a helper process. Threads are
 * seized while they run, which they don't notice; the pause begins with the first interrupt.
 */

typedef enum pi_stop_state {
    PI_STOP_SEIZED = 1, /* runs, or has not been seen standing yet */
    PI_STOP_STANDS,
    PI_STOP_RUNS,  /* could not be stopped: it sleeps uninterruptibly */
    PI_STOP_ENDED, /* the thread has, or is a main thread that ended before the others */
    PI_STOP_RELEASED,
    PI_STOP_CALLS /* stood, and makes a call for us (trace/inject_call.h): nobody else waits for it
                   */
} pi_stop_state;

typedef struct pi_stop_thread {
    int32_t tid;
    uint8_t state;         /* pi_stop_state */
    uint8_t in_group_stop; /* it had been stopped by a signal, and stays so */
    uint8_t has_registers; /* the general ones; all of them behind pi_stop_read_registers */
    uint8_t needs_restart; /* its call would have answered EINTR for our sake */
} pi_stop_thread;

/* A thread's registers as ptrace gives them. */
typedef struct pi_stop_registers {
    struct user_regs_struct general;
    struct user_fpregs_struct floating;
} pi_stop_registers;

typedef enum pi_stop_result {
    PI_STOP_OK = 0,
    PI_STOP_REFUSED,  /* the kernel doesn't let us trace `refused_tid`: refused_errno */
    PI_STOP_GONE,     /* no thread is left, or it is running another program (execve) */
    PI_STOP_TOO_LATE, /* the limit passed before all stood, or none could be stopped */
    PI_STOP_MUST_END  /* the host ended or asked to stop */
} pi_stop_result;

/* Zero but for what stands first, which the caller sets. The tables are zeroed. */
typedef struct pi_stop {
    pi_helper *helper;
    int32_t pid;
    int task_directory;                /* /proc/PID/task */
    uint32_t capacity;                 /* threads that the tables have room for */
    pi_stop_thread *threads;           /* capacity */
    pi_stop_registers *registers;      /* beside them */
    uint32_t *slots;                   /* slot_count: which thread has this tid */
    uint32_t slot_count;               /* a power of two, at least twice the capacity */
    char *entries;                     /* PI_STOP_ENTRIES_BYTES, for reading the directory */
    uint64_t limit_ns;                 /* that the pause may last until all stand */
    uint64_t uninterruptible_limit_ns; /* without progress, when all that run sleep
                                        * uninterruptibly */

    uint32_t count;
    uint32_t standing;      /* how many stand */
    uint32_t running;       /* how many could not be stopped */
    uint32_t has_dead_main; /* the main thread ended before the others: it stays listed */
    uint32_t is_full;       /* there were more than `capacity` */
    uint64_t pause_begin_ns;
    uint64_t last_progress_ns; /* when a thread was last seen to have stopped */
    int32_t refused_tid;
    int32_t refused_errno;
    int32_t refused_tracer_pid; /* who traced that thread; 0 where it wasn't for that */
    uint32_t restarted_calls;
} pi_stop;

enum { PI_STOP_ENTRIES_BYTES = 32 * 1024 };

/* Seizes all threads, which go on running. Whatever fails later: pi_stop_release lets go of them.
 */
pi_stop_result pi_stop_seize(pi_stop *stop);

/* Begins the pause and waits until every thread stands, has ended or can't be stopped. */
pi_stop_result pi_stop_interrupt(pi_stop *stop);

/* Seizes and stops one thread and no other. The tables, which are empty, have room for one. */
pi_stop_result pi_stop_one(pi_stop *stop, int32_t tid);

/* All registers of a thread that stands, as it stopped, into the table. False where it has ended by
 * now (its state says so). */
bool pi_stop_read_registers(pi_stop *stop, pi_stop_thread *thread);

/* The main thread's, if it stands: whose number it is may have changed since it stopped. */
void pi_stop_read_main_registers(pi_stop *stop);

/* Lets all threads go on. What still could not be detached is released when the helper ends. */
void pi_stop_release(pi_stop *stop);

/* One that was given up on, and that stands by now, as this status of a wait told. */
void pi_stop_release_late(pi_stop *stop, int32_t tid, int status);

/* The signal that a thread was about to take when it stopped; 0 where it stopped for another cause:
 * at a call, too, should it only come to one that it was sent to (trace/inject_call.h) when nobody
 * waits. To detach with what isn't a signal is refused, and the thread goes on standing. */
int pi_stop_signal_of(int status);

/*
 * Interrupted calls. A call that waits is interrupted by our stop like by a signal. For most the
 * kernel then restarts it by itself; some answer EINTR to whatever woke them, and would so tell the
 * target of a signal that there never was. True where the call under way is one of these, and may
 * be restarted.
 */
bool pi_call_needs_restart(const struct user_regs_struct *registers);

/* What its result is then, inside the kernel (-ERESTARTNOHAND): restart unless a handler runs, else
 * answer EINTR. */
#define PI_CALL_RESTARTS ((unsigned long long)-514)

/* Makes the call of a standing thread restart, unless a signal handler is to run: then it answers
 * EINTR, as without us. */
void pi_call_restart(int32_t tid);

#endif
