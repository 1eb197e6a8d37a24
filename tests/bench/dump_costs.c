/* SPDX-License-Identifier: MIT */
#include "bench/dump_costs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

enum { STATUS_OF_NO_PROGRAM = 127 };

static double seconds_of(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double processor_of(const struct rusage *usage) {
    return seconds_of(usage->ru_utime) + seconds_of(usage->ru_stime);
}

/* Of this process and of what it has waited for. */
static double processor_so_far(void) {
    struct rusage own, children;
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    return processor_of(&own) + processor_of(&children);
}

static uint64_t own_memory_bytes(const char *label) {
    char line[256];
    unsigned long long kib = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, label, strlen(label)) == 0)
            kib = strtoull(line + strlen(label), NULL, 10);
    if (status != NULL)
        fclose(status);
    return kib * 1024;
}

/* VmHWM begins anew with what there is. */
static void forget_peak(void) {
    int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, "5", 1) != 1)
        bench_fail("/proc/self/clear_refs can't be written");
    close(file);
}

dump_costs dump_costs_of(const dump_subject *subject, uint64_t (*take)(void *user), void *user) {
    dump_costs costs;
    forget_peak();
    uint64_t idle_bytes = own_memory_bytes("VmRSS:");
    double processor = processor_so_far();
    dump_subject_begin_ticking(subject);
    double begin = bench_now();
    costs.size_bytes = take(user);
    costs.wall = bench_now() - begin;
    costs.gap = dump_subject_longest_gap(subject);
    costs.processor = processor_so_far() - processor;
    costs.memory_bytes = own_memory_bytes("VmHWM:") - idle_bytes;
    return costs;
}

static _Noreturn void become_gcore(const char *prefix, int pid) {
    char number[16];
    int null = open("/dev/null", O_RDWR);
    snprintf(number, sizeof number, "%d", pid);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    execlp("gcore", "gcore", "-o", prefix, number, (char *)NULL);
    _exit(STATUS_OF_NO_PROGRAM);
}

bool dump_costs_of_gcore(const dump_subject *subject, dump_costs *costs) {
    char directory[] = "/tmp/procinspect-bench-XXXXXX", prefix[64], path[80];
    struct rusage usage;
    struct stat made;
    int status;
    if (mkdtemp(directory) == NULL)
        bench_fail("%s can't be made", directory);
    snprintf(prefix, sizeof prefix, "%s/core", directory);
    snprintf(path, sizeof path, "%s.%d", prefix, subject->pid);
    dump_subject_begin_ticking(subject);
    double begin = bench_now();
    int pid = fork();
    if (pid == 0)
        become_gcore(prefix, subject->pid);
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid)
        bench_fail("fork");
    costs->wall = bench_now() - begin;
    costs->gap = dump_subject_longest_gap(subject);
    costs->processor = processor_of(&usage);
    costs->memory_bytes = (uint64_t)usage.ru_maxrss * 1024;
    bool is_made = stat(path, &made) == 0;
    costs->size_bytes = is_made ? (uint64_t)made.st_size : 0;
    unlink(path);
    rmdir(directory);
    if (!is_made && status != STATUS_OF_NO_PROGRAM << 8)
        bench_fail("gcore has failed");
    return is_made;
}
