/* SPDX-License-Identifier: MIT */
/* How captures by copy come to their end, by the caller or against his will. */
#include "platform/capture/copy_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <procinspect/dump.h>

#include "platform/linux/trace/helper.h"
#include "platform/linux/trace/helper_system_call.h"

static void test_a_freed_dump_leaves_nothing(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    pi_capture_request request = copy_request();
    size_t descriptors = count_descriptors();
    pi_snapshot *snapshots[8];
    for (size_t i = 0; i < 8; i++)
        snapshots[i] = capture_process(child.process, &request);
    assert_int_equal(count_children(child.pid), 8);
    for (size_t i = 0; i < 8; i++)
        pi_snapshot_free(snapshots[i]);
    assert_int_equal(count_children(child.pid), 0);
    assert_int_equal(count_descriptors(), descriptors);
    assert_int_equal(count_children(getpid()), 1); /* and no helper */
    wait_for_rounds(&child, 1);
    child_end(&child);
}

/* Until reading fails, and what is read is right: the message. */
static void read_until_lost(const pi_snapshot *snapshot, uint64_t address, uint64_t expected,
                            procinspect_error *error) {
    uint64_t word;
    while (copy_read(snapshot, address, sizeof word, &word, error) == 0)
        assert_true(word == expected);
    assert_int_equal(error->code, PROCINSPECT_ERROR_IO);
}

/* Of a child whose body is writing_body: by reading all of the last pages. */
static void read_all_until_lost(const test_child *child, const pi_snapshot *snapshot,
                                procinspect_error *error) {
    uint64_t last = atomic_load(&child->board->words[0]) + COPY_LARGE_BYTES - COPY_PAGE;
    uint64_t word;
    if (copy_read(snapshot, last, sizeof word, &word, error) == 0)
        read_until_lost(snapshot, last, word, error);
}

static void test_a_killed_copy_is_an_error(void **state) {
    procinspect_error error;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    pi_capture_request request = copy_request();
    pi_snapshot *snapshot = capture_process(child.process, &request);
    kill(only_child_of(child.pid), SIGKILL);
    read_all_until_lost(&child, snapshot, &error);
    assert_non_null(strstr(error.message, "was killed"));
    pi_snapshot_free(snapshot);
    assert_int_equal(count_children(child.pid), 0);
    wait_for_rounds(&child, 1);
    child_end(&child);
}

static void test_its_age_is_limited(void **state) {
    procinspect_error error;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    pi_capture_request request = copy_request();
    request.max_copy_seconds = 1;
    /* Not capture_process, which reads all of the memory: that may take longer. */
    pi_snapshot *snapshot = NULL;
    assert_int_equal(pi_capture(child.process, &request, &snapshot, &error), 0);
    read_all_until_lost(&child, snapshot, &error);
    assert_non_null(strstr(error.message, "max_copy_seconds"));
    pi_snapshot_free(snapshot);
    assert_int_equal(count_children(child.pid), 0);
    child_end(&child);
}

static void test_its_growth_is_limited(void **state) {
    procinspect_error error;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    pi_capture_request request = copy_request();
    request.max_copy_growth_bytes = 8 * 1024 * 1024;
    pi_snapshot *snapshot = NULL;
    if (pi_capture(child.process, &request, &snapshot, &error) == 0)
        read_all_until_lost(&child, snapshot, &error);
    assert_non_null(strstr(error.message, "max_copy_growth_bytes"));
    pi_snapshot_free(snapshot);
    assert_int_equal(count_children(child.pid), 0);
    child_end(&child);
}

/* Executes another program when words[2] says so. */
static void executing_later_body(child_board *board) {
    atomic_store(&board->ready, 1);
    while (atomic_load(&board->words[2]) == 0)
        sleep_ms(1);
    execl("/bin/sleep", "sleep", "1000", (char *)NULL);
    _exit(1);
}

static void wait_for_name(pid_t pid, const char *name) {
    char path[32], found[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    for (int i = 0; i < 20000 && strncmp(found, name, strlen(name)) != 0; i++) {
        int file = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(file >= 0 && read(file, found, sizeof found - 1) > 0);
        close(file);
        sleep_ms(1);
    }
    assert_true(wait_for_thread_state(pid, pid, 'S'));
}

/* Another program is its parent by now, and has other code to reap it through. */
static void test_its_process_executes_another_program(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(executing_later_body);
    pi_capture_request request = copy_request();
    pi_snapshot *snapshot = capture_process(child.process, &request);
    atomic_store(&child.board->words[2], 1);
    wait_for_name(child.pid, "sleep\n");
    assert_int_equal(count_children(child.pid), 1);
    pi_snapshot_free(snapshot);
    assert_int_equal(count_children(child.pid), 0);
    child_end(&child);
}

/* --- Other helpers, signals, descriptors --- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__has_feature)
#define IN_HELPER __attribute__((no_sanitize("address", "undefined", "thread"), noinline))
#else
#define IN_HELPER __attribute__((noinline))
#endif

/* Leaves a descriptor behind, as one that is killed in the call does. */
IN_HELPER static void open_and_die(pi_helper *helper, void *argument) {
    pi_helper_open(helper, *(const int *)argument, "self/stat", O_RDONLY);
    raw_call(SYS_kill, raw_call(SYS_getpid, 0, 0, 0, 0), SIGKILL, 0, 0);
}

static void test_another_helper_is_killed(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    pi_capture_request request = copy_request();
    uint64_t memory = atomic_load(&child.board->words[0]);
    size_t before = count_descriptors();
    int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    pi_snapshot *snapshot = capture_process(child.process, &request);
    uint64_t word = copy_word_at(snapshot, memory);
    size_t descriptors = count_descriptors();
    for (int i = 0; i < 20; i++) {
        pi_helper_job job = {.run = open_and_die, .argument = &proc, .proc = proc};
        assert_int_equal(pi_helper_run(&job, NULL), PROCINSPECT_ERROR_IO);
        assert_int_equal(count_descriptors(), descriptors);
        assert_true(copy_word_at(snapshot, memory) == word);
    }
    pi_snapshot_free(snapshot);
    assert_int_equal(count_children(child.pid), 0);
    close(proc);
    assert_int_equal(count_descriptors(), before);
    child_end(&child);
}

static atomic_uint alarms;

static void count_alarm(int number) {
    (void)number;
    atomic_fetch_add(&alarms, 1);
}

static void test_signals_to_the_host_are_no_end(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    pi_capture_request request = copy_request();
    pi_snapshot *snapshot = capture_process(child.process, &request);
    struct sigaction action = {.sa_handler = count_alarm}, previous;
    const struct itimerval often = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &action, &previous);
    setitimer(ITIMER_REAL, &often, NULL);
    while (atomic_load(&alarms) < 2000)
        copy_word_at(snapshot, atomic_load(&child.board->words[0]));
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &previous, NULL);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

static void test_few_descriptors(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    pi_capture_request request = copy_request();
    assert_few_descriptors_do(&child, &request);
    wait_for_rounds(&child, 1);
    child_end(&child);
}

typedef struct late_cancel {
    procinspect_cancellation *cancellation;
    useconds_t after_us;
} late_cancel;

static void *cancel_later(void *argument) {
    const late_cancel *cancel = argument;
    usleep(cancel->after_us);
    procinspect_cancellation_request(cancel->cancellation);
    return NULL;
}

static void test_it_is_cancelled(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    for (useconds_t after_us = 0; after_us < 30000; after_us += 1000) {
        procinspect_error error;
        pthread_t thread;
        late_cancel cancel = {.after_us = after_us};
        pi_snapshot *snapshot = NULL;
        assert_int_equal(procinspect_cancellation_new(&cancel.cancellation, NULL), 0);
        pi_capture_request request = copy_request();
        request.cancellation = cancel.cancellation;
        pthread_create(&thread, NULL, cancel_later, &cancel);
        int32_t code = pi_capture(child.process, &request, &snapshot, &error);
        pthread_join(thread, NULL);
        if (code != 0 && code != PROCINSPECT_ERROR_CANCELLED)
            fail_msg("%d, %s", code, error.message);
        pi_snapshot_free(snapshot);
        procinspect_cancellation_free(cancel.cancellation);
        assert_int_equal(count_children(child.pid), 0);
    }
    wait_for_rounds(&child, 1);
    child_end(&child);
}

static void test_the_own_copy_is_killed(void **state) {
    static uint64_t word = 0x123456789;
    pi_system *system;
    pi_process *process;
    procinspect_error error;
    (void)state;
    assert_int_equal(pi_system_open(NULL, &system, NULL), 0);
    assert_int_equal(pi_process_open(system, getpid(), &process, NULL), 0);
    pi_capture_request request = copy_request();
    pi_snapshot *snapshot = capture_process(process, &request);
    kill(only_child_of(only_child_of(getpid())), SIGKILL);
    read_until_lost(snapshot, (uint64_t)(uintptr_t)&word, word, &error);
    assert_non_null(strstr(error.message, "was killed"));
    pi_snapshot_free(snapshot);
    assert_int_equal(count_children(getpid()), 0);
    pi_process_close(process);
    pi_system_close(system);
}

/* Its first instruction, for which it may have to wait for a processor, blocks them. */
static void wait_until_all_are_blocked(pid_t pid) {
    char path[32], text[2048] = "";
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    while (strstr(text, "SigBlk:\tfffffffffffbfeff") == NULL) { /* but SIGKILL and SIGSTOP */
        int file = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(file >= 0);
        ssize_t length = read(file, text, sizeof text - 1);
        close(file);
        assert_true(length > 0);
        text[length] = '\0';
        sleep_ms(1);
    }
}

static void test_the_own_copy_hears_of_no_signals(void **state) {
    const int signals[] = {SIGALRM, SIGTERM, SIGHUP, SIGCHLD, SIGRTMIN};
    static uint64_t word = 0x5ca1ab1e;
    pi_system *system;
    pi_process *process;
    (void)state;
    assert_int_equal(pi_system_open(NULL, &system, NULL), 0);
    assert_int_equal(pi_process_open(system, getpid(), &process, NULL), 0);
    pi_capture_request request = copy_request();
    pi_snapshot *snapshot = capture_process(process, &request);
    pid_t copy = only_child_of(only_child_of(getpid()));
    assert_int_not_equal(getpgid(copy), getpgrp()); /* what others may send is that group's */
    wait_until_all_are_blocked(copy);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        assert_int_equal(kill(copy, signals[i]), 0);
    sleep_ms(20); /* in which it would end */
    assert_int_equal(copy_word_at(snapshot, (uintptr_t)&word), word);
    pi_snapshot_free(snapshot);
    pi_process_close(process);
    pi_system_close(system);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_freed_dump_leaves_nothing),
        cmocka_unit_test(test_a_killed_copy_is_an_error),
        cmocka_unit_test(test_its_age_is_limited),
        cmocka_unit_test(test_its_growth_is_limited),
        cmocka_unit_test(test_its_process_executes_another_program),
        cmocka_unit_test(test_another_helper_is_killed),
        cmocka_unit_test(test_signals_to_the_host_are_no_end),
        cmocka_unit_test(test_few_descriptors),
        cmocka_unit_test(test_it_is_cancelled),
        cmocka_unit_test(test_the_own_copy_is_killed),
        cmocka_unit_test(test_the_own_copy_hears_of_no_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
