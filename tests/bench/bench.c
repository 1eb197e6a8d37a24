/* SPDX-License-Identifier: MIT */
#include "bench/bench.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void bench_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static double seconds_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double bench_now(void) {
    return seconds_of(CLOCK_MONOTONIC);
}

double bench_cpu_time(void) {
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

static int compare_samples(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

int bench_report(const char *title, unsigned rounds, bench_contestant *contestants, size_t count,
                 double *const *samples) {
    int missed = 0;
    printf("%s, %u rounds\n  %-44s %10s %10s %10s %7s\n", title, rounds, "", "best ms", "median ms",
           "worst ms", "ratio");
    for (size_t i = 0; i < count; i++) {
        qsort(samples[i], rounds, sizeof(double), compare_samples);
        contestants[i].median = samples[i][rounds / 2];
        double ratio = contestants[i].median / contestants[0].median;
        printf("  %-44s %10.3f %10.3f %10.3f %6.2fx", contestants[i].name, samples[i][0] * 1e3,
               contestants[i].median * 1e3, samples[i][rounds - 1] * 1e3, ratio);
        bool is_missed = contestants[i].reach != 0 && ratio > contestants[i].reach;
        if (contestants[i].reach != 0)
            printf("  (reach %.2fx%s)", contestants[i].reach, is_missed ? ": MISSED" : "");
        printf("\n");
        missed += is_missed;
    }
    fflush(stdout);
    return missed;
}

int bench_run(const char *title, unsigned rounds, bench_contestant *contestants, size_t count) {
    double **samples = calloc(count, sizeof *samples);
    if (samples == NULL)
        bench_fail("out of memory");
    for (size_t i = 0; i < count; i++) {
        samples[i] = calloc(rounds, sizeof **samples);
        if (samples[i] == NULL)
            bench_fail("out of memory");
        contestants[i].run(contestants[i].user); /* warms the caches */
    }
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            /* Each one is first and last equally often. */
            size_t turn = (i + round) % count;
            double begin = bench_cpu_time();
            contestants[turn].run(contestants[turn].user);
            samples[turn][round] = bench_cpu_time() - begin;
        }
    }
    int missed = bench_report(title, rounds, contestants, count, samples);
    for (size_t i = 0; i < count; i++)
        free(samples[i]);
    free(samples);
    return missed;
}

/* Forks a child that ends with us; 0 in the child. */
static int fork_child(void) {
    int pid = fork();
    if (pid < 0)
        bench_fail("fork: no more processes; raise RLIMIT_NPROC or pids.max");
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

bench_children bench_children_start(size_t count, void (*before_each)(uint64_t number)) {
    bench_children children = {calloc(count, sizeof(int)), count};
    if (children.pids == NULL)
        bench_fail("out of memory");
    for (size_t i = 0; i < count; i++) {
        if (before_each != NULL)
            before_each(i);
        children.pids[i] = fork_child();
        for (; children.pids[i] == 0;)
            pause();
    }
    return children;
}

void bench_child_end(int pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

void bench_children_end(bench_children *children) {
    for (size_t i = 0; i < children->count; i++)
        kill(children->pids[i], SIGKILL);
    for (size_t i = 0; i < children->count; i++)
        waitpid(children->pids[i], NULL, 0);
    free(children->pids);
}

static void *sleep_for_ever(void *unused) {
    (void)unused;
    for (;;)
        pause();
    return NULL;
}

int bench_threads_start(size_t count) {
    int ready[2];
    char byte = 0;
    if (pipe(ready) != 0)
        bench_fail("pipe");
    int pid = fork_child();
    if (pid == 0) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 64 * 1024);
        for (size_t i = 1; i < count; i++) {
            pthread_t thread;
            if (pthread_create(&thread, &attributes, sleep_for_ever, NULL) != 0)
                _exit(1);
        }
        if (write(ready[1], &byte, 1) != 1)
            _exit(1);
        sleep_for_ever(NULL);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        bench_fail("no more threads; raise RLIMIT_NPROC or pids.max");
    close(ready[0]);
    return pid;
}
