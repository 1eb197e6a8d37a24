/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include <procinspect.h>

#include "bench/bench.h"
#include "bench/dump_context.h"
#include "bench/stop_floor.h"

/* A small dump of a process with 64 threads: how long it stands still, and how long the call takes,
 * against a program that does no more than stop the same threads, read their registers and let them
 * go. */

enum { THREADS = 64, ROUNDS = 41 };

static stop_durations small_dump(const procinspect_process *process) {
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
    return (stop_durations){pause, wall};
}

int main(void) {
    static double pauses[2][ROUNDS], walls[2][ROUNDS];
    int pid = bench_threads_start(THREADS);
    procinspect_context *context = bench_dump_context();
    procinspect_process *process = bench_open_process(context, pid);
    stop_floor(pid, THREADS);
    small_dump(process);
    for (unsigned round = 0; round < ROUNDS; round++) {
        stop_durations of[2];
        for (unsigned i = 0; i < 2; i++) {
            unsigned turn = (i + round) % 2;
            of[turn] = turn == 0 ? stop_floor(pid, THREADS) : small_dump(process);
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
