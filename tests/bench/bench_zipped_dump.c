/* SPDX-License-Identifier: MIT */
/*
 * A full dump of a process into a zip, from the capture to the last byte written, beside gcore and
 * then gzip -1 or pigz -1. By turns; what each takes of the processors is that of all its
 * processes. usage: bench_zipped_dump [MIB [ROUNDS]]
 */
#include <fcntl.h>
#include <glob.h>
#include <procinspect.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/dump_context.h"
#include "zip/made_up.h"

enum { MIB = 1024 * 1024, MOST_ROUNDS = 50, SKIPPED = 77, CONTESTANTS = 3 };

static size_t size_mib = 1024;
static unsigned rounds = 3;
static char folder[] = "/tmp/procinspect-bench-XXXXXX";
static pid_t target;

static void fill_with_code(unsigned char *bytes, size_t length, size_t at) {
    static glob_t found;
    static FILE *file;
    static size_t next;
    if (found.gl_pathc == 0 && glob("/usr/lib/*-linux-gnu*/lib*.so*", 0, NULL, &found) != 0)
        bench_fail("no shared libraries in /usr/lib");
    for (size_t done = 0; done < length;) {
        size_t got = file != NULL ? fread(bytes + at + done, 1, length - done, file) : 0;
        done += got;
        if (got != 0)
            continue;
        if (file != NULL)
            fclose(file);
        file = fopen(found.gl_pathv[next++ % found.gl_pathc], "rb");
    }
}

/* Half zeros, a quarter code, a quarter random, in runs of 1 MiB, all of it written to. */
static void hold_memory(int ready) {
    static made_up random;
    size_t length = size_mib * MIB;
    unsigned char *bytes =
        mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        bench_fail("no memory for a process of %zu MiB", size_mib);
    made_up_init(&random, MADE_UP_RANDOM, length);
    memset(bytes, 0, length);
    for (size_t at = 0; at + 4 * MIB <= length; at += 4 * MIB) {
        fill_with_code(bytes, MIB, at);
        made_up_copy(&random, at, bytes + at + 2 * MIB, MIB);
    }
    if (write(ready, "x", 1) == 1)
        for (;;)
            pause();
    _exit(1);
}

static void start_target(void) {
    int ready[2];
    char byte;
    if (pipe(ready) != 0 || (target = fork()) < 0)
        bench_fail("no process for the target");
    if (target == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
        hold_memory(ready[1]);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        bench_fail("the target could not be laid out");
    close(ready[0]);
}

static void check(int32_t code, const procinspect_error *error) {
    if (code != 0)
        bench_fail("%s", error->message);
}

/* As an agent does it. */
static void zip_by_ours(void) {
    procinspect_context *context = bench_dump_context();
    procinspect_process *process = bench_open_process(context, target);
    procinspect_dump *dump;
    procinspect_stream *stream;
    procinspect_dump_options options;
    procinspect_dump_stream_options stream_options;
    procinspect_error error;
    procinspect_dump_options_init(&options, sizeof options);
    options.type = PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY;
    procinspect_dump_stream_options_init(&stream_options, sizeof stream_options);
    stream_options.format = PROCINSPECT_DUMP_FORMAT_ZIP;
    check(procinspect_dump_capture(process, &options, &dump, &error), &error);
    check(procinspect_stream_open_dump(dump, &stream_options, &stream, &error), &error);
    int file = open("result", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    check(procinspect_stream_write_to_descriptor(stream, file, &error), &error);
    close(file);
    procinspect_stream_free(stream);
    procinspect_dump_free(dump);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

static void gcore_and(const char *compressor) {
    char command[200];
    snprintf(command, sizeof command,
             "gcore -o core %d >gcore.out 2>&1 && %s -1 -c core.%d >result && rm core.%d",
             (int)target, compressor, (int)target, (int)target);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

static void gcore_and_gzip(void) {
    gcore_and("gzip");
}

static void gcore_and_pigz(void) {
    gcore_and("pigz");
}

typedef struct contestant {
    const char *name;
    const char *needs; /* a program, NULL for none */
    void (*run)(void);
    double wall_s[MOST_ROUNDS];
    double processor_s[MOST_ROUNDS];
    double size_mib;
} contestant;

static contestant contestants[CONTESTANTS] = {
    {.name = "libprocinspect", .run = zip_by_ours},
    {.name = "gcore, gzip -1", .needs = "gzip", .run = gcore_and_gzip},
    {.name = "gcore, pigz -1", .needs = "pigz", .run = gcore_and_pigz},
};

static bool has_program(const char *name) {
    char command[64];
    snprintf(command, sizeof command, "command -v %s >/dev/null", name);
    return system(command) == 0;
}

static double seconds_of(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* In a process of its own, which waits for all that it starts. */
static void run_once(contestant *one, unsigned round) {
    struct rusage usage;
    struct stat status;
    int ended;
    double begin = bench_now();
    pid_t runner = fork();
    if (runner == 0) {
        one->run();
        _exit(0);
    }
    if (wait4(runner, &ended, 0, &usage) != runner || ended != 0 || stat("result", &status) != 0)
        bench_fail("%s failed; see %s/gcore.out", one->name, folder);
    one->wall_s[round] = bench_now() - begin;
    one->processor_s[round] = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
    one->size_mib = (double)status.st_size / MIB;
    unlink("result");
}

static int by_size(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median_of(double *samples) {
    qsort(samples, rounds, sizeof *samples, by_size);
    return samples[rounds / 2];
}

static void report(void) {
    double floor_s = 0;
    printf(
        "A full dump of %zu MiB, half zeros, a quarter random, compressed into a file; medians of "
        "%u rounds\n",
        size_mib, rounds);
    for (size_t i = 0; i < CONTESTANTS; i++) {
        contestant *one = &contestants[i];
        if (one->size_mib == 0)
            continue;
        double wall_s = median_of(one->wall_s);
        floor_s = i == 0 ? wall_s : floor_s;
        printf("  %-16s %7.2f s to %7.2f s, median %7.2f s (%.2fx); of processors %6.2f s; %.0f "
               "MiB\n",
               one->name, one->wall_s[0], one->wall_s[rounds - 1], wall_s, wall_s / floor_s,
               median_of(one->processor_s), one->size_mib);
    }
}

static unsigned long number_of(const char *text, unsigned long most) {
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (*end != '\0' || number < 1 || number > most)
        bench_fail("%s: give a number from 1 to %lu", text, most);
    return number;
}

int main(int count, char **arguments) {
    if (count > 1)
        size_mib = number_of(arguments[1], 1024 * 1024);
    if (count > 2)
        rounds = (unsigned)number_of(arguments[2], MOST_ROUNDS);
    if (!has_program("gcore")) {
        printf("skipped: there is no gcore to compare with; Debian has it in gdb\n");
        return SKIPPED;
    }
    if (mkdtemp(folder) == NULL || chdir(folder) != 0)
        bench_fail("no folder in /tmp");
    start_target();
    for (unsigned round = 0; round < rounds; round++)
        for (size_t i = 0; i < CONTESTANTS; i++) {
            contestant *one = &contestants[(i + round) % CONTESTANTS];
            if (one->needs == NULL || has_program(one->needs))
                run_once(one, round);
            else if (round == 0)
                printf("left out: there is no %s\n", one->needs);
        }
    report();
    bench_child_end(target);
    unlink("gcore.out");
    return rmdir(folder) == 0 ? 0 : 1;
}
