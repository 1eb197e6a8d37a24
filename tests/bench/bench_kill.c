/* SPDX-License-Identifier: MIT */
/* Ending trees of 10, 200 and 2,000 members, and of workers that fork and end without pause, beside
 * psutil; with the survivors of each. */
#include <fcntl.h>
#include <inttypes.h>
#include <procinspect.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "folders.h"
#include "targets/tree_log.h"

enum { ROUNDS = 5, READY_STEPS = 60000, SETTLE_US = 20000 };

static char log_path[] = "/tmp/procinspect-bench-XXXXXX";
static int log_file;
static tree_log *history;
static FILE *peer_input, *peer_output;

static pid_t start_tree(const char *kind, int members) {
    char number[16];
    snprintf(number, sizeof number, "%d", members - 1);
    if (ftruncate(log_file, 0) != 0 || ftruncate(log_file, sizeof *history) != 0)
        bench_fail("no room for %s", log_path);
    history = mmap(NULL, sizeof *history, PROT_READ | PROT_WRITE, MAP_SHARED, log_file, 0);
    if (history == MAP_FAILED)
        bench_fail("no memory for %s", log_path);
    pid_t root = fork();
    if (root == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        execl(TESTS_BUILD_DIR "/targets/tree", "tree", log_path, kind, number, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; root > 0 && i < READY_STEPS && !atomic_load(&history->ready); i++)
        usleep(500);
    if (root < 0 || !atomic_load(&history->ready))
        bench_fail("the tree %s doesn't stand", kind);
    atomic_store(&history->go, 1);
    return root;
}

/* What was given to init by then, because its parent had ended, no parent link leads to. */
static bool was_in_tree(int place, uint64_t read_at_ns) {
    while ((place = history->processes[place].parent) >= 0) {
        uint64_t end_ns = history->processes[place].end_ns;
        if (end_ns != 0 && end_ns <= read_at_ns)
            return false;
    }
    return true;
}

/* Those that are alive of what was in the tree when it was read, or was forked by it since; all
 * that is alive is ended. Nobody forks meanwhile. */
static int count_survivors(uint64_t read_at_ns) {
    int survivors = 0;
    atomic_store(&history->stop, 1);
    usleep(SETTLE_US);
    for (int i = 0; i < atomic_load(&history->count); i++) {
        char path[64], text[256], name[64] = "", state = 'X';
        snprintf(path, sizeof path, "/proc/%d/stat", (int)history->processes[i].pid);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        bool is_read = fgets(text, sizeof text, file) != NULL &&
                       sscanf(text, "%*d (%63[^)]) %c", name, &state) == 2;
        fclose(file);
        if (!is_read || strcmp(name, "tree") != 0 || state == 'Z' || state == 'X')
            continue;
        survivors += was_in_tree(i, read_at_ns);
        kill(history->processes[i].pid, SIGKILL);
    }
    munmap(history, sizeof *history);
    return survivors;
}

static double end_with_library(pid_t root, uint64_t *read_at_ns) {
    procinspect_context_options options;
    procinspect_context *context;
    procinspect_process *process;
    const procinspect_kill_report *report;
    procinspect_error error;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_KILL;
    double begin = bench_now();
    if (procinspect_context_new(&options, &context, &error) != 0 ||
        procinspect_process_open(context, root, &process, &error) != 0 ||
        procinspect_kill_tree(process, NULL, &report, &error) != 0)
        bench_fail("%s", error.message);
    double took = bench_now() - begin;
    *read_at_ns = report->read_at_ns;
    procinspect_kill_report_free(report);
    procinspect_process_free(process);
    procinspect_context_free(context);
    return took;
}

static double hear_peer(uint64_t *read_at_ns) {
    long long ns;
    if (fscanf(peer_output, "%lld %" SCNu64, &ns, read_at_ns) != 2)
        bench_fail("psutil gave no answer; python3-psutil has to be installed");
    return (double)ns / 1e9;
}

static double end_with_peer(pid_t root, uint64_t *read_at_ns) {
    fprintf(peer_input, "%d\n", (int)root);
    fflush(peer_input);
    return hear_peer(read_at_ns);
}

static void start_peer(void) {
    int input[2], output[2];
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0)
        bench_fail("no pipe");
    if (fork() == 0) {
        signal(SIGCHLD, SIG_DFL);
        dup2(input[0], STDIN_FILENO);
        dup2(output[1], STDOUT_FILENO);
        execl("/usr/bin/python3", "python3", TESTS_SOURCE_DIR "/bench/kill_peer.py", (char *)NULL);
        _exit(127);
    }
    peer_input = fdopen(input[1], "w");
    close(input[0]);
    close(output[1]);
    peer_output = fdopen(output[0], "r");
    hear_peer(&(uint64_t){0}); /* it stands */
}

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void measure(const char *kind, int members) {
    double took[2][ROUNDS];
    int survivors[2] = {0, 0};
    for (int round = 0; round < ROUNDS; round++)
        for (int who = 0; who < 2; who++) {
            pid_t root = start_tree(kind, members);
            uint64_t read_at_ns = 0;
            took[who][round] =
                who == 0 ? end_with_library(root, &read_at_ns) : end_with_peer(root, &read_at_ns);
            survivors[who] += count_survivors(read_at_ns);
        }
    for (int who = 0; who < 2; who++)
        qsort(took[who], ROUNDS, sizeof took[who][0], compare);
    double library = took[0][ROUNDS / 2], peer = took[1][ROUNDS / 2];
    printf("%-8s %5d members: library %8.2f ms, %d left; psutil %8.2f ms, %d left; %.2f x\n", kind,
           members, library * 1e3, survivors[0], peer * 1e3, survivors[1], library / peer);
    fflush(stdout);
}

int main(void) {
    /* So that nothing waits to be waited for, neither our children nor orphans of theirs: psutil
     * waits until its processes are gone, and an init may take its time. */
    signal(SIGCHLD, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    log_file = mkostemp(log_path, O_CLOEXEC);
    if (log_file < 0)
        bench_fail("no file %s", log_path);
    start_peer();
    printf("Ending a tree: median of %d, what was left alive in all of them, and the ratio\n",
           ROUNDS);
    measure("wide", 10);
    measure("wide", 200);
    measure("wide", 2000);
    measure("forks", 60);
    measure("workers", 9);
    unlink(log_path);
    return 0;
}
