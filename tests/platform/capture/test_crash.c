/* SPDX-License-Identifier: MIT */
/* Helpers and hosts that are killed at any moment of a capture, by every way: the target goes on as
 * if nothing had been, and the next capture leaves nothing behind. */
#include "platform/capture/child.h"
#include "platform/capture/crash_checks.h"
#include "platform/capture/fork_run.h"
#include "platform/capture/fork_workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <procinspect/dump.h>

enum { MOST_HELPERS = 4, MOST_WAIT_MS = 60000, STILL_BYTES = 4 * 1024 * 1024 };

typedef enum victim_kind { KILL_HELPER, KILL_HOST } victim_kind;

/* What a host and its test share. */
typedef struct host_board {
    atomic_int must_end;
    atomic_uint captured;
    atomic_uint failed;
    atomic_int wrong_code; /* an error that a killed helper doesn't explain */
} host_board;

typedef struct crash_run {
    test_child child;
    host_board *board;
    unsigned longest_us; /* of a capture that nobody disturbs, its reading included */
    int zombies;
    unsigned captured;
    unsigned killed;
} crash_run;

static const uint32_t ways[] = {PROCINSPECT_DUMP_WAY_COPY, PROCINSPECT_DUMP_WAY_COPY,
                                PROCINSPECT_DUMP_WAY_SPOOL, PROCINSPECT_DUMP_WAY_HOLD,
                                PROCINSPECT_DUMP_WAY_LIVE};

static pi_capture_request request_by(uint32_t way) {
    pi_capture_request request = default_request();
    request.type = PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY;
    request.way = way;
    request.hold_buffer_bytes = UINT64_C(4) << 30; /* sanitizers have much memory, too */
    request.spool_directory = "/tmp";
    /* In an hour of it a machine may come to stand for longer than other tests permit: two busy
     * loops have kept both processors from everybody else for 99 s. */
    request.max_pause_ms = 300000;
    return request;
}

/* With some memory besides what the workloads have. */
static void target_body(child_board *board) {
    unsigned char *memory =
        mmap(NULL, STILL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < STILL_BYTES; i += 4096)
        memory[i] = 0x5a;
    interruptible_body(board);
}

/* Reads a word of each range: the helper is there as long as that takes. */
static bool read_through(const pi_snapshot *snapshot) {
    for (size_t i = 0; i < snapshot->memory_count; i++) {
        unsigned char byte;
        if (snapshot->source->read(snapshot->source, snapshot->memory[i].address, &byte, 1, NULL) !=
            0)
            return false;
    }
    return true;
}

/* Whatever a killed helper leads to. That two exclude each other, for as long as a helper of a
 * killed host has yet to notice, is none of it. */
static bool is_explained(int32_t code) {
    return code == PROCINSPECT_ERROR_IO || code == PROCINSPECT_ERROR_TRACED ||
           code == PROCINSPECT_ERROR_PERMISSION;
}

static void capture_once(const pi_process *process, uint32_t way, host_board *board) {
    pi_capture_request request = request_by(way);
    pi_snapshot *snapshot = NULL;
    procinspect_error error;
    int32_t code = pi_capture(process, &request, &snapshot, &error);
    bool is_whole = code == 0 && read_through(snapshot);
    pi_snapshot_free(snapshot);
    if (code != 0 && !is_explained(code)) {
        fprintf(stderr, "way %u: %d, %s\n", way, code, error.message);
        atomic_store(&board->wrong_code, code);
    }
    atomic_fetch_add(is_whole ? &board->captured : &board->failed, 1);
}

/* Captures until it is told to end, or killed. */
static pid_t start_host(const crash_run *run, uint32_t way) {
    pid_t tester = getpid();
    fflush(NULL);
    pid_t host = fork();
    assert_true(host >= 0);
    if (host != 0)
        return host;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == tester && atomic_load(&run->board->must_end) == 0)
        capture_once(run->child.process, way, run->board);
    _exit(0);
}

/* The host's children without an exit signal: it has no others. */
static size_t find_helpers(pid_t host, pid_t helpers[MOST_HELPERS]) {
    char path[64];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)host, (int)host);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (count < MOST_HELPERS && fscanf(file, "%d", &helpers[count]) == 1)
        count++;
    fclose(file);
    return count;
}

/* One of them, if there is one in this moment: held by a pidfd, not to be mistaken. */
static bool kill_helper(pid_t host) {
    pid_t helpers[MOST_HELPERS];
    size_t count = find_helpers(host, helpers);
    if (count == 0)
        return false;
    pid_t helper = helpers[(size_t)random() % count];
    int pidfd = (int)syscall(SYS_pidfd_open, helper, 0);
    bool is_helper = false;
    count = pidfd < 0 ? 0 : find_helpers(host, helpers);
    for (size_t i = 0; i < count; i++)
        is_helper |= helpers[i] == helper;
    bool was_killed = is_helper && syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0;
    if (pidfd >= 0)
        close(pidfd);
    return was_killed;
}

static void sleep_at_random(unsigned most_us) {
    struct timespec delay = {0, (long)((unsigned)random() % most_us) * 1000};
    nanosleep(&delay, NULL);
}

static void end_host(crash_run *run, pid_t host, bool by_signal) {
    int status;
    atomic_store(&run->board->must_end, 1);
    if (by_signal)
        kill(host, SIGKILL);
    assert_int_equal(waitpid(host, &status, 0), host);
    assert_true(by_signal || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    assert_int_equal(atomic_load(&run->board->wrong_code), 0);
    run->captured += atomic_load(&run->board->captured);
}

static void crash(crash_run *run, victim_kind victim, uint32_t way) {
    *run->board = (host_board){0};
    pid_t host = start_host(run, way);
    sleep_at_random(run->longest_us);
    if (victim == KILL_HOST) {
        end_host(run, host, true);
        run->killed++;
        return;
    }
    for (int i = 0; i < MOST_WAIT_MS * 10 && !kill_helper(host); i++)
        usleep(100);
    run->killed++;
    end_host(run, host, false);
}

/* By copy, since that one reaps what others have left; a helper of the killed host's may be at it
 * yet. */
static void capture_well(const test_child *child) {
    pi_capture_request request = request_by(PROCINSPECT_DUMP_WAY_COPY);
    pi_snapshot *snapshot = NULL;
    procinspect_error error = {0};
    for (int i = 0; i < MOST_WAIT_MS && snapshot == NULL; i++) {
        int32_t code = pi_capture(child->process, &request, &snapshot, &error);
        if (code != 0 && code != PROCINSPECT_ERROR_TRACED)
            fail_msg("%d: %s", code, error.message);
        sleep_ms(code != 0);
    }
    assert_non_null(snapshot);
    pi_snapshot_free(snapshot);
}

/* Unless the zombie was still being forked when the capture began to look: then the one after that
 * reaps it. */
static void assert_next_reaps(const test_child *child) {
    int zombies = 0;
    capture_well(child);
    assert_few_zombies(child->pid, &zombies);
    if (zombies != 0)
        capture_well(child);
    assert_true(count_children(child->pid) <= 0);
}

/* A helper whose host was killed may have it stand for a moment yet, or come to that only now. */
static void assert_comes_to_run(pid_t pid) {
    int waited_ms = 0;
    for (; waited_ms < MOST_WAIT_MS && is_stopped(pid); waited_ms++)
        sleep_ms(1);
    assert_true(waited_ms < MOST_WAIT_MS);
}

static void measure(crash_run *run) {
    struct timespec begin, end;
    unsigned longest_us = 1;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        clock_gettime(CLOCK_MONOTONIC, &begin);
        capture_once(run->child.process, ways[i], run->board);
        clock_gettime(CLOCK_MONOTONIC, &end);
        long us = (end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000;
        longest_us = us > (long)longest_us ? (unsigned)us : longest_us;
    }
    assert_int_equal(atomic_load(&run->board->captured), sizeof ways / sizeof ways[0]);
    run->longest_us = longest_us < 500000 ? longest_us : 500000;
}

/* Half of all that are killed: the others are the other test's. */
static void crash_often(victim_kind victim) {
    skip_unless_children_can_be_traced();
    crash_run run = {.child = child_start(target_body)};
    run.board =
        mmap(NULL, sizeof *run.board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(run.board != MAP_FAILED);
    srandom((unsigned)getpid());
    measure(&run);
    for (int i = 0; i < crash_count() / 2; i++) {
        crash(&run, victim, ways[(size_t)i % (sizeof ways / sizeof ways[0])]);
        wait_for_rounds(run.child.board, 20);
        assert_no_errors(run.child.board);
        assert_comes_to_run(run.child.pid);
        assert_few_zombies(run.child.pid, &run.zombies);
        assert_next_reaps(&run.child);
    }
    print_message("# %u %s killed, within %u us, after %u whole captures: %d zombies, %lu calls "
                  "interrupted\n",
                  run.killed, victim == KILL_HOST ? "hosts" : "helpers", run.longest_us,
                  run.captured, run.zombies,
                  (unsigned long)atomic_load(&run.child.board->words[WORD_INTERRUPTED]));
    wait_for_rounds(run.child.board, 100);
    assert_no_errors(run.child.board);
    assert_int_equal(atomic_load(&run.child.board->words[WORD_SIGNALS]), 0);
    munmap(run.board, sizeof *run.board);
    child_end(&run.child);
}

static void test_helpers_that_are_killed(void **state) {
    (void)state;
    crash_often(KILL_HELPER);
}

static void test_hosts_that_are_killed(void **state) {
    (void)state;
    crash_often(KILL_HOST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_helpers_that_are_killed),
        cmocka_unit_test(test_hosts_that_are_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
