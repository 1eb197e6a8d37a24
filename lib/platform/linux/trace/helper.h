/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_TRACE_HELPER_H
#define PI_PLATFORM_LINUX_TRACE_HELPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <procinspect/cancellation.h>
#include <procinspect/error.h>

/*
 * A short-lived process of the host's own that does what the host itself can't: a process can't
 * trace its own threads, and a tracer's waits would mix with the host's. It shares the host's
 * memory, so that results need no copying; it has its own signal handlers, no exit signal (the
 * host's SIGCHLD handlers and waits never notice it), and ends by itself when the host does.
 *
 * Descriptors. It shares the host's table, too: then none is inherited, to be held open or closed.
 * To close a descriptor, also a copy, makes its file system flush what was written to the file,
 * which takes its time on a network's, and waits where nothing can end it on one (FUSE) that
 * doesn't answer. Nor can one begin with an empty table: close_range with CLOSE_RANGE_UNSHARE
 * copies the first 64 descriptors, too, and closes the copies. What a job opens is the host's as
 * well; pi_helper_open marks it (trace/helper_mark.h), so that nothing stays open after a helper
 * that was killed, wherever that was. Only a job that needs more descriptors than the host has to
 * spare gets a table of its own, in which the inherited ones are closed: it pays for that with
 * these flushes, and after them with its limit.
 *
 * Ends. A job has a limit, after which the kernel kills the helper wherever it waits, from its
 * first instruction on; the host kills it, too, should that not be enough, or where it hangs after
 * it was told to stop. What is left then waits in the kernel where no signal reaches it. The host
 * gives up on such a one and answers TIMED_OUT; its memory, and what it was working in, stay mapped
 * for ever (keeps_memory), because the kernel may yet write there. It runs none of our code again,
 * ends when it can, and is a zombie of the host's from then on.
 *
 * Staying. A job can report (pi_helper_report) and go on: it then looks after something, a copy of
 * the target say, until the host tells it to stop, or ends. The host takes its mark back at the
 * report, so that many can stay: what the job opens behind that it has to close.
 *
 * What runs in the helper is built without sanitizers and stack protector and calls nothing but
 * what is built so; meson.build lists it as helper_sources.
 */

enum { PI_HELPER_MAX_DESCRIPTORS = 4 };

/* What both sides share. The host's side fills it before the helper starts. */
typedef struct pi_helper {
    void (*job)(struct pi_helper *helper, void *argument); /* what to do; runs in the helper */
    void *argument;
    int host_pidfd;
    bool has_own_descriptors;
    int mark; /* in a shared table: the flags that all is opened with; 0 for none */
    int descriptors[PI_HELPER_MAX_DESCRIPTORS]; /* kept open in a table of its own */
    size_t descriptor_count;
    bool leads_session; /* and so a process group; where it may not, the group alone */
    uint64_t limit_ns;  /* of the first watchdog, 0 for none */
    atomic_uint_least64_t
        end_by_ns;            /* by CLOCK_MONOTONIC, when the watchdog ends it; 0 for never */
    atomic_int uses_memory;   /* the kernel sets it to 0 when the helper has left the memory */
    atomic_int go;            /* a futex: the helper may begin */
    atomic_bool must_stop;    /* the host asks it to end early */
    atomic_int wakes;         /* a futex: changes when a helper that stays has to look */
    atomic_int news;          /* a futex: changes when it has reported, or finished */
    atomic_bool has_reported; /* the job has, and stays */
    atomic_bool has_finished; /* the job ran to its end */
    bool is_cleaning_up;      /* the helper's own: it stops for nobody any more */
    bool holds_processor;     /* and this: it is in a real-time class now */
    int policy;               /* before that */
} pi_helper;

/* --- called in the host --- */

/* How to run a job. */
typedef struct pi_helper_job {
    void (*run)(struct pi_helper *helper, void *argument);
    void *argument;
    /* After this time the helper is killed, unless the job asks for more with
     * pi_helper_start_watchdog. 0: never. */
    uint64_t limit_ns;
    /* And this long after it was told to stop. 0: a job that is told so may take its time. */
    uint64_t stop_limit_ns;
    /* /proc, where the host looks for what a killed helper has left open in its table. */
    int proc;
    /* It opens many: in a table of its own, with these of the host's. */
    bool needs_own_descriptors;
    int descriptors[PI_HELPER_MAX_DESCRIPTORS];
    size_t descriptor_count;
    /* It leads a session, where others only have a process group of their own. */
    bool needs_own_session;
    /* The host lets its helper trace it: needed for the own process under Yama's ptrace_scope 1. Is
     * for those whose turn it is (trace/host_tracer.h). */
    bool may_trace_host;
    const procinspect_cancellation *cancellation; /* nullable */

    /* Result: the helper could not be ended. The argument, and all that the job works in, must
     * neither be freed nor used again. */
    bool keeps_memory;
} pi_helper_job;

/*
 * Runs the job in a helper and waits for its end. NO_RESOURCES or NO_MEMORY where no helper could
 * be started; IO where it ended before the job did, killed by somebody; TIMED_OUT at its limit;
 * CANCELLED where it was told to stop and didn't.
 */
int32_t pi_helper_run(pi_helper_job *job, procinspect_error *error);

/* A helper that stays; used by one thread at a time. */
typedef struct pi_helper_staying pi_helper_staying;

/*
 * The same, but returns when the job reports, too: *staying is the helper then, else NULL. A limit
 * holds for the time until the report.
 */
int32_t pi_helper_run_until_report(pi_helper_job *job, pi_helper_staying **staying,
                                   procinspect_error *error);

/* Readable once it has ended; its own. */
int pi_helper_pidfd(const pi_helper_staying *staying);

/* Tells it to stop and waits for its end. The time that takes is limited, as of job.stop_limit_ns:
 * false where it could not be ended, and what the job works in must neither be freed nor used
 * again. */
bool pi_helper_end(pi_helper_staying *staying);

/* --- called in the helper --- */

/* Where the new process begins; `helper` is a pi_helper. Doesn't return. */
void pi_helper_begin(void *helper);

/* The host has ended, or asks to stop. */
bool pi_helper_must_stop(const pi_helper *helper);

/* What is left to do has to be done whoever asks to stop: within this time from now. */
void pi_helper_clean_up(pi_helper *helper, uint64_t limit_ns);

/* The kernel kills the helper after this time from now, instead of the one set before, and so lets
 * go of all that it holds. */
void pi_helper_start_watchdog(pi_helper *helper, uint64_t limit_ns);

/* It is killed no more by that. */
void pi_helper_stop_watchdog(pi_helper *helper);

/* For a process that the helper forks: it hears of none but SIGKILL. */
void pi_helper_block_signals(void);

/*
 * From here to pi_helper_share_processor no thread that wakes up takes the processor from the
 * helper: by the lowest real-time priority, where it may have that (CAP_SYS_NICE, RLIMIT_RTPRIO);
 * otherwise all is as before. For what doesn't wait and is done soon, so that nothing starves.
 */
void pi_helper_hold_processor(pi_helper *helper);
void pi_helper_share_processor(pi_helper *helper);

/* What the host waits for is done. */
void pi_helper_report(pi_helper *helper);

/* Behind the report: sleeps for that long, or until the host has something to say. */
void pi_helper_sleep(pi_helper *helper, uint64_t limit_ns);

/* Opens a file of /proc for reading, so that it doesn't stay open in the host's table whatever
 * becomes of the helper. A descriptor, or a negative errno. */
long pi_helper_open(const pi_helper *helper, int directory, const char *path, int flags);

/* Takes the mark off a file that the host is to keep. */
void pi_helper_hand_over(int file);

/* Waits until a tracee's state may have changed, or for limit_ns. */
void pi_helper_wait_for_child(uint64_t limit_ns);

#endif
