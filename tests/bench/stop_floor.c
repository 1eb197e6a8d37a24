/* SPDX-License-Identifier: MIT */
#include "bench/stop_floor.h"

#include <dirent.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "bench/bench.h"

static int *list_threads(int pid, size_t wanted) {
    char path[64];
    int *threads = calloc(wanted, sizeof *threads);
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *directory = opendir(path);
    size_t count = 0;
    if (threads == NULL || directory == NULL)
        bench_fail("%s can't be opened", path);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.' && count < wanted)
            threads[count++] = atoi(entry->d_name);
    closedir(directory);
    if (count != wanted)
        bench_fail("the target has %zu threads", count);
    return threads;
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

stop_durations stop_floor(int pid, size_t count) {
    double begin = bench_now();
    int *threads = list_threads(pid, count);
    for (size_t i = 0; i < count; i++)
        if (ptrace(PTRACE_SEIZE, threads[i], 0, 0) != 0)
            bench_fail("PTRACE_SEIZE: needs ptrace access to a child");
    double stopping = bench_now();
    for (size_t i = 0; i < count; i++)
        ptrace(PTRACE_INTERRUPT, threads[i], 0, 0);
    for (size_t i = 0; i < count; i++)
        if (waitpid(threads[i], NULL, __WALL) != threads[i])
            bench_fail("waitpid");
    for (size_t i = 0; i < count; i++)
        read_registers(threads[i]);
    for (size_t i = 0; i < count; i++)
        ptrace(PTRACE_DETACH, threads[i], 0, 0);
    double end = bench_now();
    free(threads);
    return (stop_durations){end - stopping, end - begin};
}
