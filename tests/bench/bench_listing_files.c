/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include <libproc2/pids.h>
#include <procinspect.h>

#include "bench/bench.h"
#include "bench/environments.h"
#include "bench/raw_proc.h"

/* All processes of a machine with 2,000 of them, with command line, environment and executable:
 * ours, the raw reads of the same files (stat, cmdline, environ, the link exe), and libproc2. The
 * processes are forks, but each has an environment of its own. */

enum { PROCESSES = 2000, ROUNDS = 21 };

static const double reach = 1.1;

static void raw(void *user) {
    (void)user;
    if (raw_read_files("/proc") < PROCESSES)
        bench_fail("the raw walk misses processes");
}

static void ours(void *user) {
    procinspect_process_query query;
    procinspect_process_query_init(&query, sizeof query);
    query.flags = PROCINSPECT_PROCESS_QUERY_ALL_USERS;
    query.members = PROCINSPECT_PROCESS_BASIC | PROCINSPECT_PROCESS_COMMAND_LINE |
                    PROCINSPECT_PROCESS_EXECUTABLE | PROCINSPECT_PROCESS_ENVIRONMENT;
    const procinspect_process_list *list;
    procinspect_error error;
    if (procinspect_process_list_read(user, &query, &list, &error) != 0)
        bench_fail("%s", error.message);
    size_t complete = 0;
    for (size_t i = 0; i < list->count; i++)
        complete += (list->items[i]->known & query.members) == query.members &&
                    list->items[i]->environment->count > 0;
    if (complete < PROCESSES)
        bench_fail("our listing misses processes or members");
    procinspect_process_list_free(list);
}

static enum pids_item items[] = {
    PIDS_ID_PID,      PIDS_CMD,       PIDS_ID_PPID,   PIDS_ID_PGRP,    PIDS_ID_SESSION,
    PIDS_STATE,       PIDS_NICE,      PIDS_NLWP,      PIDS_TIME_START, PIDS_TICS_USER,
    PIDS_TICS_SYSTEM, PIDS_CMDLINE_V, PIDS_ENVIRON_V, PIDS_EXE,
};

static void peer(void *user) {
    (void)user;
    struct pids_info *info = NULL;
    if (procps_pids_new(&info, items, sizeof items / sizeof items[0]) < 0)
        bench_fail("libproc2 doesn't start");
    struct pids_fetch *fetch = procps_pids_reap(info, PIDS_FETCH_TASKS_ONLY);
    if (fetch == NULL || fetch->counts->total < PROCESSES)
        bench_fail("libproc2 misses processes");
    procps_pids_unref(&info);
}

int main(int count, char **arguments) {
    (void)count;
    environments_begin(arguments);
    procinspect_context_options options;
    procinspect_context_options_init(&options, sizeof options);
    options.user_scope = PROCINSPECT_USER_SCOPE_ALL;
    options.allow = PROCINSPECT_ALLOW_ENVIRONMENT;
    procinspect_context *context;
    procinspect_error error;
    if (procinspect_context_new(&options, &context, &error) != 0)
        bench_fail("%s", error.message);
    bench_children children = bench_children_start(PROCESSES, environments_make);
    bench_contestant contestants[] = {
        {.name = "stat, cmdline, environ read; exe followed", .run = raw},
        {.name = "procinspect_process_list_read", .run = ours, .user = context, .reach = reach},
        {.name = "libproc2", .run = peer},
    };
    int missed = bench_run("2,000 processes with command line, environment, executable", ROUNDS,
                           contestants, 3);
    bench_children_end(&children);
    procinspect_context_free(context);
    return missed == 0 ? 0 : 1;
}
