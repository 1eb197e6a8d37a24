/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <procinspect.h>

#include "bench/bench.h"
#include "bench/dump_context.h"

/* A full dump by hold: how long the process stands still, against a program that stops it, copies
 * its one large mapping into memory that is there already, and lets it go. */

enum { ROUNDS = 21, MIB = 1024 * 1024, PIECE = 4 * MIB };

typedef struct subject {
    int pid;
    unsigned char *memory; /* the target's, and ours at the same address */
    unsigned char *copy;
    size_t bytes;
} subject;

static void touch(subject *target) {
    target->memory =
        mmap(NULL, target->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    target->copy =
        mmap(NULL, target->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (target->memory == MAP_FAILED || target->copy == MAP_FAILED)
        bench_fail("mmap");
    memset(target->copy, 1, target->bytes);
}

static subject start(size_t bytes) {
    subject target = {.bytes = bytes};
    int ready[2];
    char byte = 0;
    touch(&target);
    if (pipe(ready) != 0 || (target.pid = fork()) < 0)
        bench_fail("fork");
    if (target.pid == 0) {
        munmap(target.copy, bytes);
        memset(target.memory, 1, bytes);
        if (write(ready[1], &byte, 1) != 1)
            _exit(1);
        close(ready[1]);
        for (;;)
            pause();
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        bench_fail("the target ended");
    close(ready[0]);
    return target;
}

static void end(subject *target) {
    bench_child_end(target->pid);
    munmap(target->memory, target->bytes);
    munmap(target->copy, target->bytes);
}

static double stop_and_copy(const subject *target) {
    if (ptrace(PTRACE_SEIZE, target->pid, 0, 0) != 0)
        bench_fail("PTRACE_SEIZE: needs ptrace access to a child");
    double begin = bench_now();
    ptrace(PTRACE_INTERRUPT, target->pid, 0, 0);
    if (waitpid(target->pid, NULL, __WALL) != target->pid)
        bench_fail("waitpid");
    for (size_t at = 0; at < target->bytes; at += PIECE) {
        size_t left = target->bytes - at;
        struct iovec to = {target->copy + at, left < PIECE ? left : PIECE};
        struct iovec from = {target->memory + at, to.iov_len};
        if (process_vm_readv(target->pid, &to, 1, &from, 1, 0) != (ssize_t)to.iov_len)
            bench_fail("process_vm_readv");
    }
    ptrace(PTRACE_DETACH, target->pid, 0, 0);
    return bench_now() - begin;
}

static double full_dump(const procinspect_process *process) {
    procinspect_dump_options options;
    procinspect_dump *dump;
    procinspect_error error;
    procinspect_dump_options_init(&options, sizeof options);
    options.type = PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY;
    if (procinspect_dump_capture(process, &options, &dump, &error) != 0)
        bench_fail("%s", error.message);
    double pause = (double)procinspect_dump_report_get(dump)->pause_ns / 1e9;
    procinspect_dump_free(dump);
    return pause;
}

static int compare(const procinspect_context *context, size_t mebibytes) {
    static double pauses[2][ROUNDS];
    subject target = start(mebibytes * MIB);
    procinspect_process *process = bench_open_process(context, target.pid);
    char title[96];
    stop_and_copy(&target);
    full_dump(process);
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < 2; i++) {
            unsigned turn = (i + round) % 2;
            pauses[turn][round] = turn == 0 ? stop_and_copy(&target) : full_dump(process);
        }
    bench_contestant of_pause[] = {{.name = "interrupt, wait, process_vm_readv, detach"},
                                   {.name = "procinspect_dump_capture, type 2: pause"}};
    snprintf(title, sizeof title, "A full dump of %zu MiB by hold: how long it stands still",
             mebibytes);
    int missed = bench_report(title, ROUNDS, of_pause, 2, (double *const[]){pauses[0], pauses[1]});
    procinspect_process_free(process);
    end(&target);
    return missed;
}

int main(void) {
    static const size_t sizes[] = {10, 30, 60};
    procinspect_context *context = bench_dump_context();
    int missed = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        missed += compare(context, sizes[i]);
    procinspect_context_free(context);
    return missed == 0 ? 0 : 1;
}
