/* SPDX-License-Identifier: MIT */
/* Captures by spool: when they are chosen, and what becomes of the file. */
#include "platform/capture/spool_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <procinspect/dump.h>

/* --- The file --- */

/* The descriptor of ours that is a regular file of that size at least. */
static int find_file(off_t least_bytes) {
    for (int file = 0; file < 1024; file++) {
        struct stat status;
        if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size >= least_bytes)
            return file;
    }
    fail_msg("there is no file");
    return -1;
}

static void test_nobody_else_sees_the_file(void **state) {
    struct stat status;
    char path[64];
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    pi_capture_request request = spool_request();
    size_t descriptors = count_descriptors();
    pi_snapshot *snapshot = capture_process(child.process, &request);
    int file = find_file(COPY_LARGE_BYTES);
    assert_int_equal(fstat(file, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_nlink, 0);
    assert_int_equal((uint64_t)status.st_size, snapshot->report.memory_bytes);
    assert_true((fcntl(file, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(spool_entries(), 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    assert_int_equal(
        linkat(AT_FDCWD, path, AT_FDCWD, "/tmp/procinspect-spool-test-link", AT_SYMLINK_FOLLOW),
        -1);
    pi_snapshot_free(snapshot);
    assert_int_equal(count_descriptors(), descriptors);
    assert_int_equal(count_children(getpid()), 1);
    wait_for_rounds(&child, 1);
    child_end(&child);
}

static void test_it_is_of_one_moment(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    pi_capture_request request = spool_request();
    pi_snapshot *snapshot = capture_process(child.process, &request);
    assert_string_equal(snapshot->report.way_reason, "It was asked for.");
    wait_for_rounds(&child, 1);
    uint64_t memory = atomic_load(&child.board->words[0]);
    child_end(&child); /* it outlives the process, too */
    assert_of_one_moment(snapshot, memory);
    pi_snapshot_free(snapshot);
}

static void test_the_own_process(void **state) {
    static unsigned char pattern[COPY_PAGE * 4];
    unsigned char bytes[sizeof pattern];
    pi_system *system;
    pi_process *process;
    (void)state;
    memset(pattern, 0x5a, sizeof pattern);
    assert_int_equal(pi_system_open(NULL, &system, NULL), 0);
    assert_int_equal(pi_process_open(system, getpid(), &process, NULL), 0);
    pi_capture_request request = spool_request();
    pi_snapshot *snapshot = capture_process(process, &request);
    memset(pattern, 0x33, sizeof pattern);
    assert_int_equal(copy_read(snapshot, (uint64_t)(uintptr_t)pattern, sizeof bytes, bytes, NULL),
                     0);
    for (size_t i = 0; i < sizeof bytes; i++)
        assert_int_equal(bytes[i], 0x5a);
    pi_snapshot_free(snapshot);
    pi_process_close(process);
    pi_system_close(system);
}

/* --- When it is chosen --- */

/* Nobody's, with more memory than is held, and a filter that kills for what a fork needs. */
static void filtered_body(child_board *board) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, code};
    become_nobody();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(97);
    writing_body(board);
}

/* Nobody's, that may not fork. */
static void limited_body(child_board *board) {
    become_nobody();
    if (setrlimit(RLIMIT_NPROC, &(struct rlimit){0, 0}) != 0)
        _exit(97);
    writing_body(board);
}

static void expect_filtered(const pi_process *process) {
    pi_capture_request request = spool_request();
    request.way = PROCINSPECT_DUMP_WAY_AUTO;
    spool_expect(process, &request, 0, "can't be copied: it has a seccomp filter");
    request.spool_directory = NULL;
    spool_expect(process, &request, PROCINSPECT_ERROR_PERMISSION, "name a spool_directory");
    request.spool_directory = spool_directory;
    request.way = PROCINSPECT_DUMP_WAY_COPY;
    spool_expect(process, &request, PROCINSPECT_ERROR_PERMISSION, "it has a seccomp filter");
}

static void test_a_filtered_target_is_spooled(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(filtered_body);
    run_as_nobody(expect_filtered, child.process);
    wait_for_rounds(&child, 1);
    if (geteuid() == 0) { /* who suspends the filter, and copies */
        pi_capture_request request = spool_request();
        request.way = PROCINSPECT_DUMP_WAY_AUTO;
        pi_snapshot *snapshot;
        assert_int_equal(pi_capture(child.process, &request, &snapshot, NULL), 0);
        assert_sound_snapshot_by(snapshot, PROCINSPECT_DUMP_WAY_COPY);
        pi_snapshot_free(snapshot);
    }
    wait_for_rounds(&child, 1);
    child_end(&child);
}

static void test_a_target_that_may_not_fork_is_spooled(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(limited_body);
    pi_capture_request request = spool_request();
    request.way = PROCINSPECT_DUMP_WAY_AUTO;
    pi_snapshot *snapshot;
    assert_int_equal(pi_capture(child.process, &request, &snapshot, NULL), 0);
    assert_sound_snapshot_by(snapshot, PROCINSPECT_DUMP_WAY_SPOOL);
    assert_non_null(strstr(snapshot->report.way_reason, "fork: Resource temporarily"));
    pi_snapshot_free(snapshot);
    request.spool_directory = NULL;
    assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_NO_RESOURCES,
                         "name a spool_directory");
    wait_for_rounds(&child, 1);
    child_end(&child);
}

/* --- Cancelled, and few descriptors --- */

static void test_it_is_cancelled(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    pi_capture_request request = spool_request();
    procinspect_cancellation *cancellation;
    assert_int_equal(procinspect_cancellation_new(&cancellation, NULL), 0);
    procinspect_cancellation_request(cancellation);
    request.cancellation = cancellation;
    assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_CANCELLED, "");
    procinspect_cancellation_free(cancellation);
    wait_for_rounds(&child, 1);
    child_end(&child);
}

static void test_few_descriptors(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    pi_capture_request request = spool_request();
    assert_few_descriptors_do(&child, &request);
    wait_for_rounds(&child, 1);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_else_sees_the_file),
        cmocka_unit_test(test_it_is_of_one_moment),
        cmocka_unit_test(test_the_own_process),
        cmocka_unit_test(test_a_filtered_target_is_spooled),
        cmocka_unit_test(test_a_target_that_may_not_fork_is_spooled),
        cmocka_unit_test(test_it_is_cancelled),
        cmocka_unit_test(test_few_descriptors),
    };
    return cmocka_run_group_tests(tests, spool_directory_make, spool_directory_remove);
}
