/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_CAPTURE_REFUSAL_H
#define PI_PLATFORM_LINUX_CAPTURE_REFUSAL_H

#include "platform/linux/linux.h"

/* Why the kernel refuses to let a process be traced, or its files be read: it only ever says EPERM
 * or EACCES. */

/* What can be known of the two processes. */
typedef struct pi_refusal_facts {
    int32_t pid;
    int os_errno;
    const char *file;             /* that was to be read; NULL: it was to be traced */
    int32_t tracer_pid;           /* of the refused thread, 0 for none */
    bool tracer_is_own_helper;    /* this very host is dumping or ending the process */
    uint32_t target_user_ids[3];  /* real, effective, saved */
    uint32_t own_user_id;         /* effective */
    uint32_t target_group_ids[3]; /* real, effective, saved */
    uint32_t own_group_id;        /* effective */
    uint64_t target_capabilities; /* permitted */
    uint64_t own_capabilities;    /* permitted */
    bool own_may_trace;           /* CAP_SYS_PTRACE is effective */
    bool own_has_seccomp_filter;
    bool own_may_suspend_filters; /* of seccomp, of others: CAP_SYS_ADMIN is effective */
    bool target_is_filtered;      /* it has such a filter, or is in strict mode */
    bool target_is_dumpable;
    int yama_scope; /* pi_yama_scope */
} pi_refusal_facts;

/* The texts of status files, target's and own, as far as facts are in them. */
void pi_refusal_parse_target(const char *status, size_t length, pi_refusal_facts *facts);
void pi_refusal_parse_own(const char *status, size_t length, pi_refusal_facts *facts);

/* The same of the file itself, as long as the kernel makes it; false where it can't be read. Own:
 * the calling thread's. */
bool pi_refusal_read_target(int directory, const char *path, pi_refusal_facts *facts);
bool pi_refusal_read_own(const pi_system *system, pi_refusal_facts *facts);

/* TRACED, PERMISSION, GONE …, with the cause and what to do about it. */
int32_t pi_refusal_explain(const pi_refusal_facts *facts, procinspect_error *error);

/* Collects the facts about the thread that was refused, and explains. *own_helper (nullable) is the
 * helper of this very host that traces it, 0 for none. */
int32_t pi_capture_refused(const pi_process *process, int32_t tid, int os_errno,
                           int32_t *own_helper, procinspect_error *error);

/*
 * The same for one who may not read files ("maps", "files" for more than one) of a process, which
 * stand at directory with the prefix before their names. Always PERMISSION.
 */
int32_t pi_read_refused(const pi_system *system, int directory, const char *prefix, int32_t pid,
                        const char *file, int os_errno, procinspect_error *error);

/* Waits for the end of that helper, at most until the deadline (CLOCK_MONOTONIC). False for 0, and
 * where it takes longer or the wait was cancelled. */
bool pi_wait_for_own_helper(const pi_system *system, int32_t pid, int64_t deadline_ns,
                            const procinspect_cancellation *cancellation);

/* TRACED: by this process. *own_helper as above. */
int32_t pi_capture_traced(const pi_process *process, int32_t tracer_pid, int32_t *own_helper,
                          procinspect_error *error);

/* Without Yama, or where /proc doesn't show it (subset=pid). */
#define PI_YAMA_SCOPE_UNKNOWN (-1)

/* Yama's ptrace_scope. */
int pi_yama_scope(const pi_system *system);

#endif
