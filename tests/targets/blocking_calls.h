/*
 * What the files of the target `blocking_calls` share.
 *
 * The target has a thread in every kind of blocking system call. A thread knows when its call may
 * return, after its timeout or after an event that the target made itself, and takes down every
 * return that came for another reason. So whatever stops and resumes the process from outside can
 * be judged by asking the target afterwards.
 */
#ifndef TESTS_TARGETS_BLOCKING_CALLS_H
#define TESTS_TARGETS_BLOCKING_CALLS_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How one blocking call came back. */
enum outcome {
    OUTCOME_EVENT,       /* what was waited for has happened */
    OUTCOME_TIMEOUT,     /* the call says that its time is over */
    OUTCOME_INTERRUPTED, /* EINTR although no handler ran */
    OUTCOME_WRONG        /* anything else; errno or the value is in the worker's detail */
};

/* A way to use a kind of call; every kind is run in all the forms that it can take. */
enum form { FORM_TIMEOUT = 1, FORM_EVENT = 2, FORM_EVENT_OR_TIMEOUT = 4 };

struct worker;

struct kind {
    const char *name;
    unsigned forms;
    /* How much earlier than asked for the kernel itself may end the call: one tick for calls that
     * count jiffies. */
    int granularity_ms;
    bool (*open)(struct worker *w); /* false: not to be had here; the worker's detail says why */
    bool (*arm)(struct worker *w);  /* in the worker, before each call; may be NULL */
    enum outcome (*call)(struct worker *w, int timeout_ms); /* timeout_ms < 0: none */
    bool (*wake)(struct worker *w);  /* from another thread: makes the event; may be NULL */
    void (*close)(struct worker *w); /* may be NULL */
};

struct worker {
    const struct kind *kind;
    char name[40];
    int timeout_ms;     /* < 0: none */
    int wake_period_ms; /* < 0: the event comes at the end only; 0: never */
    pthread_t thread;
    atomic_int tid;
    atomic_bool ended;

    /* Call number n may see an event only once events_sent has reached n. */
    atomic_uint events_sent;
    atomic_uint events_seen;
    atomic_uint waiting_for; /* the number of the event that the thread is prepared for */
    atomic_uint final_event; /* the one after which the worker ends */
    uint64_t last_wake_ns;

    atomic_uint calls;
    atomic_uint early;
    atomic_uint interrupted;
    atomic_uint wrong;
    atomic_uint latest_ms; /* the most that a timeout came late */

    pthread_mutex_t detail_lock;
    char detail[120]; /* the first violation, or why the kind was left out */

    /* What the kinds keep: each uses what it needs. */
    int fds[4];
    int ipc_id;
    pid_t child;
    _Atomic uint32_t word;
    atomic_uint handled;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    sem_t sem;
    void *state;
};

/* The groups of kinds, each ended by a row without a name. */
extern const struct kind sleep_kinds[];
extern const struct kind futex_kinds[];
extern const struct kind poll_kinds[];
extern const struct kind read_kinds[];
extern const struct kind socket_kinds[];
extern const struct kind ipc_kinds[];
extern const struct kind signal_kinds[];
extern const struct kind process_kinds[];
extern const struct kind aio_kinds[];

/* The worker that runs in the calling thread, for signal handlers. */
extern _Thread_local struct worker *current_worker;

uint64_t monotonic_ns(void);
/* `now + timeout_ms` on the clock given. */
struct timespec deadline_after(clockid_t clock, int timeout_ms);
struct timespec timespec_of_ms(int ms);

/* Takes down the first violation, or the reason why a kind cannot be had; later ones are only
 * counted. */
void note_detail(struct worker *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The outcome of a failed call by errno; `timeout_errno` is the one that says "time is over", 0 if
 * none does. */
enum outcome outcome_of_errno(struct worker *w, int timeout_errno);
/* Where a value was expected that is not there. */
enum outcome outcome_of_value(struct worker *w, int64_t value, int64_t expected);
/* open()'s way out: takes errno down and answers false. */
bool not_available(struct worker *w, const char *what);
/* Whether `w`'s thread is inside the system call `number`, so that a signal sent now interrupts
 * that call. */
bool worker_is_in_syscall(const struct worker *w, long number);
/* The number of the event that the running call waits for; the first is 1. */
unsigned next_event(const struct worker *w);

/* Helpers for kinds that wait for one event descriptor (fds[0]). */
bool open_eventfd(struct worker *w);
bool wake_eventfd(struct worker *w);
bool drain_eventfd(struct worker *w);
void close_descriptors(struct worker *w);

/* The running workers. */
bool workers_start(void);
/* Lets every worker that waits for an event of its own have it, ends the timed ones; false if some
 * do not end. */
bool workers_quit(void);
/* One line for each worker; returns the violations. */
unsigned workers_report(void);

/* Threads that check what is not a blocking call: signals in order, registers. */
bool checks_start(void);
void checks_quit(void);
unsigned checks_report(void);

#endif
