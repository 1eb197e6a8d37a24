/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <procinspect.h>

#include "bench/bench.h"
#include "bench/dump_context.h"
#include "bench/dump_costs.h"
#include "bench/dump_ranges.h"
#include "bench/dump_subject.h"
#include "bench/stop_floor.h"

/*
 * A full dump by copy: how long the target stands still, against a bare fork of the same address
 * space by the target itself and a bare stop of its threads, one behind the other; and how long it
 * takes into a file, a new one or once more over one that the page cache holds, against a loop of
 * process_vm_readv and write over the same memory. And what it costs altogether, beside gcore.
 */

enum { ROUNDS = 20, WALL_ROUNDS = 7, COST_ROUNDS = 3, PIECE = 1024 * 1024 };

static procinspect_dump *take(const procinspect_process *process) {
    procinspect_dump_options options;
    procinspect_dump *dump;
    procinspect_error error;
    procinspect_dump_options_init(&options, sizeof options);
    options.type = PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY;
    options.way = PROCINSPECT_DUMP_WAY_COPY;
    if (procinspect_dump_capture(process, &options, &dump, &error) != 0)
        bench_fail("%s", error.message);
    return dump;
}

static double pause_of_dump(const procinspect_process *process) {
    procinspect_dump *dump = take(process);
    double pause = (double)procinspect_dump_report_get(dump)->pause_ns / 1e9;
    procinspect_dump_free(dump);
    return pause;
}

static double pause_of_floor(const dump_subject *target) {
    return dump_subject_fork(target) + stop_floor(target->pid, target->threads).pause;
}

static int open_file(void) {
    char path[] = "/tmp/procinspect-bench-XXXXXX";
    int file = mkstemp(path);
    if (file < 0)
        bench_fail("%s can't be made", path);
    unlink(path);
    return file;
}

/* The dump's size. */
static uint64_t dump_into(int file, const procinspect_process *process) {
    procinspect_stream *stream;
    procinspect_error error;
    procinspect_dump *dump = take(process);
    uint64_t size_bytes = procinspect_dump_size_bytes(dump);
    if (procinspect_stream_open_dump(dump, NULL, &stream, &error) != 0 ||
        procinspect_stream_write_to_descriptor(stream, file, &error) != 0)
        bench_fail("%s", error.message);
    procinspect_stream_free(stream);
    procinspect_dump_free(dump);
    return size_bytes;
}

static double wall_of_dump(const procinspect_process *process, int file) {
    double begin = bench_now();
    dump_into(file, process);
    return bench_now() - begin;
}

/* Reads the next PIECE bytes of the ranges, or what is left of them, with one call, and moves
 * *range behind them; gives their number. */
static size_t read_piece(int pid, unsigned char *piece, struct iovec **range,
                         const struct iovec *end) {
    struct iovec from[IOV_MAX], to = {piece, 0};
    unsigned long count = 0;
    while (*range < end && to.iov_len < PIECE && count < IOV_MAX) {
        size_t room = PIECE - to.iov_len;
        size_t length = (*range)->iov_len < room ? (*range)->iov_len : room;
        from[count++] = (struct iovec){(*range)->iov_base, length};
        to.iov_len += length;
        (*range)->iov_base = (char *)(*range)->iov_base + length;
        (*range)->iov_len -= length;
        *range += (*range)->iov_len == 0;
    }
    if (process_vm_readv(pid, &to, 1, from, count, 0) != (ssize_t)to.iov_len)
        bench_fail("process_vm_readv");
    return to.iov_len;
}

static double wall_of_loop(int pid, const dump_ranges *ranges, int file) {
    static unsigned char piece[PIECE];
    struct iovec *left = malloc(ranges->count * sizeof *left);
    if (left == NULL)
        bench_fail("out of memory");
    memcpy(left, ranges->items, ranges->count * sizeof *left);
    double begin = bench_now();
    for (struct iovec *range = left; range < left + ranges->count;) {
        size_t length = read_piece(pid, piece, &range, left + ranges->count);
        if (write(file, piece, length) != (ssize_t)length)
            bench_fail("write");
    }
    double wall = bench_now() - begin;
    free(left);
    return wall;
}

static int compare_pauses(const char *of, const dump_subject *target,
                          const procinspect_process *process) {
    static double pauses[2][ROUNDS];
    char title[160];
    pause_of_floor(target);
    pause_of_dump(process);
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < 2; i++) {
            unsigned turn = (i + round) % 2;
            pauses[turn][round] = turn == 0 ? pause_of_floor(target) : pause_of_dump(process);
        }
    bench_contestant contestants[] = {
        {.name = "fork; interrupt, wait, registers, detach"},
        {.name = "procinspect_dump_capture, type 2: pause", .reach = 1.3}};
    snprintf(title, sizeof title, "A full dump by copy, %s: how long it stands still", of);
    return bench_report(title, ROUNDS, contestants, 2, (double *const[]){pauses[0], pauses[1]});
}

/* A new one, or `same`, with all that was written to it on the disk. */
static int begin_file(int same) {
    if (same < 0)
        return open_file();
    if (fsync(same) != 0 || lseek(same, 0, SEEK_SET) != 0)
        bench_fail("the file can't be written again");
    return same;
}

static void end_file(int file, int same) {
    if (file != same)
        close(file);
}

/*
 * One of both, after the loop was run once more. By that both begin alike: a copy leaves the target
 * in a state in which the loop's first reading takes half as long again (since Linux 5.19
 * process_vm_readv looks at each page that was shared), and in a virtual machine whose host takes
 * free memory back every second writing of 4 GiB takes twice as long, whoever's it is.
 */
static double wall_of(unsigned turn, const dump_subject *target, const procinspect_process *process,
                      const dump_ranges *ranges, int same) {
    int file = begin_file(same);
    wall_of_loop(target->pid, ranges, file);
    end_file(file, same);
    file = begin_file(same);
    double wall = turn == 0 ? wall_of_loop(target->pid, ranges, file) : wall_of_dump(process, file);
    end_file(file, same);
    return wall;
}

static int compare_walls(const char *title, double reach, const dump_subject *target,
                         const procinspect_process *process, int same) {
    static double walls[2][WALL_ROUNDS];
    procinspect_dump *dump = take(process);
    dump_ranges ranges = dump_ranges_of(dump);
    procinspect_dump_free(dump);
    wall_of(1, target, process, &ranges, same);
    for (unsigned round = 0; round < WALL_ROUNDS; round++)
        for (unsigned i = 0; i < 2; i++) {
            unsigned turn = (i + round) % 2;
            walls[turn][round] = wall_of(turn, target, process, &ranges, same);
        }
    dump_ranges_free(&ranges);
    bench_contestant contestants[] = {{.name = "process_vm_readv, write"},
                                      {.name = "capture and stream into a file", .reach = reach}};
    return bench_report(title, WALL_ROUNDS, contestants, 2, (double *const[]){walls[0], walls[1]});
}

static int compare_files(const char *of, const dump_subject *target,
                         const procinspect_process *process) {
    char title[160];
    snprintf(title, sizeof title, "A full dump by copy, %s: into a new file", of);
    int missed = compare_walls(title, 1.2, target, process, -1);
    int same = open_file();
    snprintf(title, sizeof title, "A full dump by copy, %s: over a file in the page cache", of);
    compare_walls(title, 0, target, process, same);
    close(same);
    return missed;
}

static uint64_t dump_into_a_file(void *process) {
    int file = open_file();
    uint64_t size_bytes = dump_into(file, process);
    close(file);
    return size_bytes;
}

static int compare_gaps(const void *left, const void *right) {
    double a = ((const dump_costs *)left)->gap, b = ((const dump_costs *)right)->gap;
    return (a > b) - (a < b);
}

/* Of the round with the middle gap. */
static void report_costs(const char *name, dump_costs *costs) {
    qsort(costs, COST_ROUNDS, sizeof *costs, compare_gaps);
    const dump_costs *middle = &costs[COST_ROUNDS / 2];
    printf("  %-16s %14.3f %10.3f %12.3f %12.1f %10.1f\n", name, middle->gap * 1e3,
           middle->wall * 1e3, middle->processor * 1e3, (double)middle->memory_bytes / 1048576,
           (double)middle->size_bytes / 1048576);
}

static void compare_costs(const char *of, const dump_subject *target,
                          procinspect_process *process) {
    dump_costs of_dump[COST_ROUNDS], of_gcore[COST_ROUNDS];
    bool has_gcore = true;
    for (unsigned round = 0; round < COST_ROUNDS; round++)
        of_dump[round] = dump_costs_of(target, dump_into_a_file, process);
    /* Not by turns: it reads what was never touched, too, and from then on that exists. */
    for (unsigned round = 0; round < COST_ROUNDS && has_gcore; round++)
        has_gcore = dump_costs_of_gcore(target, &of_gcore[round]);
    printf("A full dump, %s: what it costs, %d rounds\n  %-16s %14s %10s %12s %12s %10s\n", of,
           COST_ROUNDS, "", "target's gap ms", "wall ms", "processor ms", "memory MiB", "size MiB");
    report_costs("library", of_dump);
    if (has_gcore)
        report_costs("gcore", of_gcore);
    else
        printf("  gcore is left out: gdb isn't installed\n");
    fflush(stdout);
}

static int compare(const procinspect_context *context, const dump_shape *of) {
    dump_subject target = dump_subject_start(of);
    procinspect_process *process = bench_open_process(context, target.pid);
    char title[96];
    snprintf(title, sizeof title, "%zu MiB in %s pages, %zu threads", of->mebibytes,
             of->is_huge ? "huge" : "4 KiB", of->threads);
    int missed = compare_pauses(title, &target, process) + compare_files(title, &target, process);
    compare_costs(title, &target, process);
    procinspect_process_free(process);
    dump_subject_end(&target);
    return missed;
}

/* All of them, or those whose numbers, from 1 on, are the arguments. */
static bool is_wanted(size_t number, int count, char *const *arguments) {
    for (int i = 1; i < count; i++)
        if (strtoul(arguments[i], NULL, 10) == number)
            return true;
    return count == 1;
}

int main(int count, char **arguments) {
    static const dump_shape shapes[] = {{64, 64, false},   {1024, 64, false},   {1024, 64, true},
                                        {4096, 64, false}, {1024, 1000, false}, {64, 1000, false}};
    procinspect_context *context = bench_dump_context();
    int missed = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (is_wanted(i + 1, count, arguments))
            missed += compare(context, &shapes[i]);
    procinspect_context_free(context);
    return missed == 0 ? 0 : 1;
}
