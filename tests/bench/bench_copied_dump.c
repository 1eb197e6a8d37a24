/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <procinspect.h>

#include "bench/bench.h"
#include "bench/dump_context.h"
#include "bench/stop_floor.h"

/*
 * A full dump by copy: how long the target stands still, against a bare fork of the same address
 * space by the target itself and a bare stop of its threads, one behind the other; and how long it
 * takes into a file, against a loop of process_vm_readv and write over the same memory.
 */

enum { ROUNDS = 20, WALL_ROUNDS = 5, PIECE = 1024 * 1024 };
#define MIB (UINT64_C(1) << 20)

typedef struct shape {
    size_t mebibytes;
    size_t threads;
    bool is_huge;
} shape;

typedef struct subject {
    int pid;
    int ask; /* a byte in: fork; its duration out */
    int answer;
    unsigned char *memory;
    size_t bytes;
    size_t threads;
} subject;

static void *wait_for_ever(void *unused) {
    for (;;)
        pause();
    return unused;
}

static double fork_once(void) {
    double begin = bench_now();
    long pid = syscall(SYS_clone, CLONE_FILES, 0, NULL, NULL, 0);
    if (pid == 0)
        _exit(0);
    double end = bench_now();
    if (pid < 0 || waitpid((pid_t)pid, NULL, __WALL) != pid)
        _exit(1);
    return end - begin;
}

static _Noreturn void be_target(const subject *target) {
    char byte;
    pthread_attr_t attributes;
    pthread_t thread;
    memset(target->memory, 1, target->bytes);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    for (size_t i = 1; i < target->threads; i++)
        if (pthread_create(&thread, &attributes, wait_for_ever, NULL) != 0)
            _exit(1);
    for (double duration = 0;; duration = fork_once())
        if (write(target->answer, &duration, sizeof duration) != sizeof duration ||
            read(target->ask, &byte, 1) != 1)
            _exit(0);
}

static double ask_to_fork(const subject *target, const char *byte) {
    double duration;
    if ((byte != NULL && write(target->ask, byte, 1) != 1) ||
        read(target->answer, &duration, sizeof duration) != sizeof duration)
        bench_fail("the target ended");
    return duration;
}

static subject start(const shape *of) {
    int to[2], from[2];
    subject target = {.bytes = of->mebibytes * MIB, .threads = of->threads};
    target.memory =
        mmap(NULL, target.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (target.memory == MAP_FAILED || pipe(to) != 0 || pipe(from) != 0)
        bench_fail("mmap or pipe");
    madvise(target.memory, target.bytes, of->is_huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    target.pid = fork();
    if (target.pid < 0)
        bench_fail("fork");
    target.ask = target.pid == 0 ? to[0] : to[1];
    target.answer = target.pid == 0 ? from[1] : from[0];
    if (target.pid == 0)
        be_target(&target);
    close(to[0]);
    close(from[1]);
    ask_to_fork(&target, NULL);
    return target;
}

static void end(subject *target) {
    bench_child_end(target->pid);
    munmap(target->memory, target->bytes);
    close(target->ask);
    close(target->answer);
}

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

static double pause_of_floor(const subject *target) {
    return ask_to_fork(target, "f") + stop_floor(target->pid, target->threads).pause;
}

static int open_file(void) {
    char path[] = "/tmp/procinspect-bench-XXXXXX";
    int file = mkstemp(path);
    if (file < 0)
        bench_fail("%s can't be made", path);
    unlink(path);
    return file;
}

static double wall_of_dump(const procinspect_process *process) {
    int file = open_file();
    procinspect_stream *stream;
    procinspect_error error;
    double begin = bench_now();
    procinspect_dump *dump = take(process);
    if (procinspect_stream_open_dump(dump, NULL, &stream, &error) != 0 ||
        procinspect_stream_write_to_descriptor(stream, file, &error) != 0)
        bench_fail("%s", error.message);
    procinspect_stream_free(stream);
    procinspect_dump_free(dump);
    double wall = bench_now() - begin;
    close(file);
    return wall;
}

static double wall_of_loop(const subject *target) {
    static unsigned char piece[PIECE];
    int file = open_file();
    double begin = bench_now();
    for (size_t at = 0; at < target->bytes; at += PIECE) {
        struct iovec to = {piece, PIECE}, from = {target->memory + at, PIECE};
        if (process_vm_readv(target->pid, &to, 1, &from, 1, 0) != PIECE ||
            write(file, piece, PIECE) != PIECE)
            bench_fail("process_vm_readv or write");
    }
    double wall = bench_now() - begin;
    close(file);
    return wall;
}

static int compare_pauses(const char *of, const subject *target,
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

static int compare_walls(const char *of, const subject *target,
                         const procinspect_process *process) {
    static double walls[2][WALL_ROUNDS];
    char title[160];
    wall_of_loop(target);
    for (unsigned round = 0; round < WALL_ROUNDS; round++)
        for (unsigned i = 0; i < 2; i++) {
            unsigned turn = (i + round) % 2;
            walls[turn][round] = turn == 0 ? wall_of_loop(target) : wall_of_dump(process);
        }
    bench_contestant contestants[] = {{.name = "process_vm_readv, write"},
                                      {.name = "capture and stream into a file", .reach = 1.2}};
    snprintf(title, sizeof title, "A full dump by copy, %s: into a file", of);
    return bench_report(title, WALL_ROUNDS, contestants, 2, (double *const[]){walls[0], walls[1]});
}

static int compare(const procinspect_context *context, const shape *of) {
    subject target = start(of);
    procinspect_process *process = bench_open_process(context, target.pid);
    char title[96];
    snprintf(title, sizeof title, "%zu MiB in %s pages, %zu threads", of->mebibytes,
             of->is_huge ? "huge" : "4 KiB", of->threads);
    int missed = compare_pauses(title, &target, process) + compare_walls(title, &target, process);
    procinspect_process_free(process);
    end(&target);
    return missed;
}

int main(void) {
    static const shape shapes[] = {
        {64, 64, false}, {1024, 64, false}, {1024, 64, true}, {64, 1000, false}, {4096, 64, false}};
    procinspect_context *context = bench_dump_context();
    int missed = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        missed += compare(context, &shapes[i]);
    procinspect_context_free(context);
    return missed == 0 ? 0 : 1;
}
