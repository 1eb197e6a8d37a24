/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <procinspect.h>

#include "bench/bench.h"

/* A small dump of a process with 64 threads: how long it stands still, and how long the call takes,
 * against a program that does no more than stop the same threads, read their registers and let them
 * go. */

enum { THREADS = 64, ROUNDS = 41 };

typedef struct durations {
    double pause;
    double wall;
} durations;

static void list_threads(int pid, int threads[THREADS]) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *directory = opendir(path);
    size_t count = 0;
    if (directory == NULL)
        bench_fail("%s can't be opened", path);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.' && count < THREADS)
            threads[count++] = atoi(entry->d_name);
    closedir(directory);
    if (count != THREADS)
        bench_fail("the target has %zu threads", count);
}

static void read_registers(int thread) {
    static struct user_regs_struct general;
    static unsigned char floating[4096];
    struct iovec into = {&general, sizeof general};
    if (ptrace(PTRACE_GETREGSET, thread, NT_PRSTATUS, &into) != 0)
        bench_fail("PTRACE_GETREGSET");
    into = (struct iovec){floating, sizeof floating};
    if (ptrace(PTRACE_GETREGSET, thread, NT_PRFPREG, &into) != 0)
        bench_fail("PTRACE_GETREGSET");
}

static durations stop_and_go(int pid) {
    int threads[THREADS];
    double begin = bench_now();
    list_threads(pid, threads);
    for (size_t i = 0; i < THREADS; i++)
        if (ptrace(PTRACE_SEIZE, threads[i], 0, 0) != 0)
            bench_fail("PTRACE_SEIZE: needs ptrace access to a child");
    double stopping = bench_now();
    for (size_t i = 0; i < THREADS; i++)
        ptrace(PTRACE_INTERRUPT, threads[i], 0, 0);
    for (size_t i = 0; i < THREADS; i++)
        if (waitpid(threads[i], NULL, __WALL) != threads[i])
            bench_fail("waitpid");
    for (size_t i = 0; i < THREADS; i++)
        read_registers(threads[i]);
    for (size_t i = 0; i < THREADS; i++)
        ptrace(PTRACE_DETACH, threads[i], 0, 0);
    double end = bench_now();
    return (durations){end - stopping, end - begin};
}

static durations small_dump(const procinspect_process *process) {
    procinspect_dump *dump;
    procinspect_error error;
    double begin = bench_now();
    if (procinspect_dump_capture(process, NULL, &dump, &error) != 0)
        bench_fail("%s", error.message);
    double wall = bench_now() - begin;
    const procinspect_dump_report *report = procinspect_dump_report_get(dump);
    if (report->thread_count != THREADS)
        bench_fail("the dump has %u threads", report->thread_count);
    double pause = (double)report->pause_ns / 1e9;
    procinspect_dump_free(dump);
    return (durations){pause, wall};
}

static procinspect_process *open_process(procinspect_context **context, int pid) {
    procinspect_context_options options;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_DUMP;
    procinspect_process *process;
    procinspect_error error;
    if (procinspect_context_new(&options, context, &error) != 0 ||
        procinspect_process_open(*context, pid, &process, &error) != 0)
        bench_fail("%s", error.message);
    return process;
}

int main(void) {
    static double pauses[2][ROUNDS], walls[2][ROUNDS];
    int pid = bench_threads_start(THREADS);
    procinspect_context *context;
    procinspect_process *process = open_process(&context, pid);
    stop_and_go(pid);
    small_dump(process);
    for (unsigned round = 0; round < ROUNDS; round++) {
        durations of[2];
        for (unsigned i = 0; i < 2; i++) {
            unsigned turn = (i + round) % 2;
            of[turn] = turn == 0 ? stop_and_go(pid) : small_dump(process);
        }
        for (unsigned i = 0; i < 2; i++) {
            pauses[i][round] = of[i].pause;
            walls[i][round] = of[i].wall;
        }
    }
    bench_contestant of_pause[] = {{.name = "interrupt, wait, registers, detach"},
                                   {.name = "procinspect_dump_capture: pause", .reach = 3}};
    bench_contestant of_wall[] = {{.name = "list, seize, interrupt, wait, registers, detach"},
                                  {.name = "procinspect_dump_capture: the call"}};
    int missed = bench_report("A small dump of 64 threads: how long they stand still", ROUNDS,
                              of_pause, 2, (double *const[]){pauses[0], pauses[1]});
    missed += bench_report("A small dump of 64 threads: how long it takes", ROUNDS, of_wall, 2,
                           (double *const[]){walls[0], walls[1]});
    procinspect_process_free(process);
    procinspect_context_free(context);
    bench_child_end(pid);
    return missed == 0 ? 0 : 1;
}
