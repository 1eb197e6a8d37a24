/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <unistd.h>

#include <libproc2/pids.h>
#include <procinspect.h>

#include "bench/bench.h"
#include "bench/raw_proc.h"

/* All processes of a machine with 2,000 of them, and the threads of a process with 1,000: ours, the
 * raw reads of the same files, and libproc2 asked for the same members. */

enum { PROCESSES = 2000, THREADS = 1000, ROUNDS = 41 };

static const double reach = 1.15;

static procinspect_context *context;
static int threads_pid;

static void raw_processes(void *user) {
    (void)user;
    if (raw_read_stats("/proc") < PROCESSES)
        bench_fail("the raw walk misses processes");
}

static void our_processes(void *user) {
    (void)user;
    procinspect_process_query query;
    procinspect_process_query_init(&query, sizeof query);
    query.flags = PROCINSPECT_PROCESS_QUERY_ALL_USERS;
    const procinspect_process_list *list;
    procinspect_error error;
    if (procinspect_process_list_read(context, &query, &list, &error) != 0)
        bench_fail("%s", error.message);
    if (list->count < PROCESSES)
        bench_fail("our listing misses processes");
    procinspect_process_list_free(list);
}

static enum pids_item process_items[] = {
    PIDS_ID_PID, PIDS_CMD,  PIDS_ID_PPID,    PIDS_ID_PGRP,   PIDS_ID_SESSION,  PIDS_STATE,
    PIDS_NICE,   PIDS_NLWP, PIDS_TIME_START, PIDS_TICS_USER, PIDS_TICS_SYSTEM,
};

static void peer_processes(void *user) {
    (void)user;
    struct pids_info *info = NULL;
    if (procps_pids_new(&info, process_items, sizeof process_items / sizeof process_items[0]) < 0)
        bench_fail("libproc2 doesn't start");
    struct pids_fetch *fetch = procps_pids_reap(info, PIDS_FETCH_TASKS_ONLY);
    if (fetch == NULL || fetch->counts->total < PROCESSES)
        bench_fail("libproc2 misses processes");
    procps_pids_unref(&info);
}

static void raw_threads(void *user) {
    if (raw_read_stats(user) != THREADS)
        bench_fail("the raw walk misses threads");
}

static void our_threads(void *user) {
    const procinspect_thread_list *list;
    procinspect_error error;
    if (procinspect_thread_list_read(user, NULL, &list, &error) != 0)
        bench_fail("%s", error.message);
    if (list->count != THREADS)
        bench_fail("our listing misses threads");
    procinspect_thread_list_free(list);
}

static enum pids_item thread_items[] = {
    PIDS_ID_TID,      PIDS_CMD,        PIDS_STATE,     PIDS_PRIORITY,    PIDS_NICE,
    PIDS_PRIORITY_RT, PIDS_TIME_START, PIDS_TICS_USER, PIDS_TICS_SYSTEM,
};

static void peer_threads(void *user) {
    (void)user;
    struct pids_info *info = NULL;
    unsigned pid = (unsigned)threads_pid;
    if (procps_pids_new(&info, thread_items, sizeof thread_items / sizeof thread_items[0]) < 0)
        bench_fail("libproc2 doesn't start");
    struct pids_fetch *fetch = procps_pids_select(info, &pid, 1, PIDS_SELECT_PID_THREADS);
    if (fetch == NULL || fetch->counts->total != THREADS)
        bench_fail("libproc2 misses threads");
    procps_pids_unref(&info);
}

static int bench_processes(void) {
    bench_children children = bench_children_start(PROCESSES, NULL);
    bench_contestant contestants[] = {
        {.name = "getdents, open, read, close of stat", .run = raw_processes},
        {.name = "procinspect_process_list_read", .run = our_processes, .reach = reach},
        {.name = "libproc2", .run = peer_processes},
    };
    int missed = bench_run("2,000 processes", ROUNDS, contestants, 3);
    bench_children_end(&children);
    return missed;
}

static int bench_threads(void) {
    threads_pid = bench_threads_start(THREADS);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", threads_pid);
    procinspect_process *process;
    procinspect_error error;
    if (procinspect_process_open(context, threads_pid, &process, &error) != 0)
        bench_fail("%s", error.message);
    bench_contestant contestants[] = {
        {.name = "getdents, open, read, close of stat", .run = raw_threads, .user = path},
        {.name = "procinspect_thread_list_read",
         .run = our_threads,
         .user = process,
         .reach = reach},
        {.name = "libproc2", .run = peer_threads},
    };
    int missed = bench_run("1,000 threads", ROUNDS, contestants, 3);
    procinspect_process_free(process);
    bench_child_end(threads_pid);
    return missed;
}

int main(void) {
    procinspect_context_options options;
    procinspect_context_options_init(&options, sizeof options);
    options.user_scope = PROCINSPECT_USER_SCOPE_ALL;
    procinspect_error error;
    if (procinspect_context_new(&options, &context, &error) != 0)
        bench_fail("%s", error.message);
    int missed = bench_processes() + bench_threads();
    procinspect_context_free(context);
    return missed == 0 ? 0 : 1;
}
