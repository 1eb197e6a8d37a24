/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_HELPER_H
#define PI_PLATFORM_LINUX_HELPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <procinspect/cancellation.h>
#include <procinspect/error.h>

/*
 * A short-lived process of the host's own that does what the host itself can't: a process can't
 * trace its own threads, and a tracer's waits would mix with the host's. It shares the host's
 * memory, so that results need no copying, and nothing else: it has its own descriptors and signal
 * handlers, no exit signal (the host's SIGCHLD handlers and waits never notice it), and ends by
 * itself when the host does.
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
    int descriptors[PI_HELPER_MAX_DESCRIPTORS]; /* kept open there; the rest is closed */
    size_t descriptor_count;
    uint64_t stack_bytes;
    atomic_int go;            /* a futex: the helper may begin */
    atomic_bool must_stop;    /* the host asks it to end early */
    atomic_bool has_finished; /* the job ran to its end */
} pi_helper;

/* --- called in the host --- */

/* How to run a job. */
typedef struct pi_helper_job {
    void (*run)(struct pi_helper *helper, void *argument);
    void *argument;
    int descriptors[PI_HELPER_MAX_DESCRIPTORS];
    size_t descriptor_count;
    /* The host lets its helper trace it: needed for the own process under Yama's ptrace_scope 1. */
    bool may_trace_host;
    const procinspect_cancellation *cancellation; /* nullable */
} pi_helper_job;

/*
 * Runs the job in a helper and waits for its end. NO_RESOURCES or NO_MEMORY where no helper could
 * be started; IO where it ended before the job did: killed, or by its own watchdog.
 */
int32_t pi_helper_run(const pi_helper_job *job, procinspect_error *error);

/* --- called in the helper --- */

/* Where the new process begins; `helper` is a pi_helper. Doesn't return. */
void pi_helper_begin(void *helper);

/* The host has ended, or asks to stop. */
bool pi_helper_must_stop(const pi_helper *helper);

/*
 * From now on the kernel kills the helper after this time, and so lets go of all that it holds: the
 * last resort where it hangs in a page that is only served by what it has stopped.
 */
void pi_helper_start_watchdog(uint64_t limit_ns);

/* Waits until a tracee's state may have changed, or for limit_ns. */
void pi_helper_wait_for_child(uint64_t limit_ns);

#endif
