/* SPDX-License-Identifier: MIT */
/* Targets in circumstances of their own: which way a large dump of each is taken, and that it goes
 * on. */
#include "platform/capture/copy_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <procinspect/dump.h>

static const char *const spool_directory = "/tmp";

/* One that AUTO doesn't hold; every way can be had. */
static pi_capture_request large_request(void) {
    pi_capture_request request = copy_request();
    request.way = PROCINSPECT_DUMP_WAY_AUTO;
    request.spool_directory = spool_directory;
    return request;
}

/* For processes that can't use cmocka: captures, by that way, and reads the first word of the
 * child's memory. */
static void expect_way(const pi_process *process, uint32_t way) {
    pi_capture_request request = large_request();
    pi_snapshot *snapshot = NULL;
    procinspect_error error = {0};
    int32_t code = pi_capture(process, &request, &snapshot, &error);
    if (code != 0 || snapshot->report.way != way) {
        fprintf(stderr, "%d, %s\n", code, code != 0 ? error.message : snapshot->report.way_reason);
        _exit(93);
    }
    pi_snapshot_free(snapshot);
}

static void assert_way(const test_child *child, uint32_t way) {
    pi_capture_request request = large_request();
    pi_snapshot *snapshot = NULL;
    procinspect_error error;
    uint64_t rounds = atomic_load(&child->board->words[1]);
    if (pi_capture(child->process, &request, &snapshot, &error) != 0)
        fail_msg("%d: %s", error.code, error.message);
    if (snapshot->report.way != way)
        fail_msg("way %u: %s", snapshot->report.way, snapshot->report.way_reason);
    assert_true(copy_word_at(snapshot, atomic_load(&child->board->words[0])) >= rounds);
    pi_snapshot_free(snapshot);
    wait_for_rounds(child, 1);
}

/* --- Seccomp: with CAP_SYS_ADMIN it is suspended, without it is never asked --- */

static void restrict_to(const struct sock_filter *code, unsigned short length) {
    struct sock_fprog program = {length, (struct sock_filter *)(uintptr_t)code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(97);
}

static void expect_spool(const pi_process *process) {
    expect_way(process, PROCINSPECT_DUMP_WAY_SPOOL);
}

static void assert_filtered(void (*body)(child_board *board)) {
    skip_unless_children_can_be_traced();
    test_child child = child_start(body);
    for (int i = 0; i < 3; i++) {
        if (geteuid() == 0)
            assert_way(&child, PROCINSPECT_DUMP_WAY_COPY);
        run_as_nobody(expect_spool, child.process);
        wait_for_rounds(&child, 1);
        assert_int_equal(count_children(child.pid), 0);
    }
    child_end(&child);
}

/* Writes to its memory without a call. */
static void strict_body(child_board *board) {
    become_nobody();
    uint64_t *memory =
        mmap(NULL, COPY_LARGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    atomic_store(&board->words[0], (uint64_t)(uintptr_t)memory);
    if (memory == MAP_FAILED || prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) != 0)
        _exit(97);
    for (uint64_t round = 1;; round++) {
        for (size_t i = 0; i < COPY_LARGE_BYTES / 8; i += COPY_PAGE / 8)
            ((volatile uint64_t *)memory)[i] = round;
        atomic_store(&board->words[1], round);
        atomic_store(&board->ready, 1);
    }
}

static void test_strict_mode(void **state) {
    (void)state;
    assert_filtered(strict_body);
}

static void killing_body(child_board *board) {
    static const struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    become_nobody();
    restrict_to(code, sizeof code / sizeof code[0]);
    writing_body(board);
}

static void test_a_filter_that_kills_on_clone(void **state) {
    (void)state;
    assert_filtered(killing_body);
}

/* What the kernel tells of a process's filter stands behind all its groups. */
static void many_groups_body(child_board *board) {
    enum { GROUPS = 600, LONG_NUMBER = 1000000000 };
    gid_t groups[GROUPS];
    for (unsigned i = 0; i < GROUPS; i++)
        groups[i] = LONG_NUMBER + i;
    if (setgroups(GROUPS, groups) != 0)
        _exit(96);
    killing_body(board);
}

static void test_a_filter_behind_many_groups(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_filtered(many_groups_body);
}

/* As Docker's default has it, of the calls that matter here: clone only without new namespaces,
 * clone3 not at all, ptrace, setns, mount and the like not; and the machine is asked for. */
static void container_body(child_board *board) {
    enum { NEW_NAMESPACES = 0x7e020000 };
    static const struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xc000003e /* x86-64 */, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 10, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mount, 8, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setns, 7, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 6, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };
    become_nobody();
    restrict_to(code, sizeof code / sizeof code[0]);
    if (unshare(CLONE_NEWUTS) == 0 || errno != EPERM || syscall(SYS_clone3, NULL, 0) == 0 ||
        errno != ENOSYS)
        _exit(98);
    writing_body(board);
}

static void test_a_containers_usual_filter(void **state) {
    (void)state;
    assert_filtered(container_body);
}

/* --- State D: a thread in vfork sleeps where nothing stops it --- */

static void *wait_in_vfork(void *board) {
    atomic_store(&((child_board *)board)->tids[0], gettid());
    pid_t pid = vfork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (atomic_load(&((child_board *)board)->words[7]) == 0)
            syscall(SYS_poll, NULL, 0, 1);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    return NULL;
}

static void vfork_body(child_board *board) {
    pthread_t thread;
    pthread_create(&thread, NULL, wait_in_vfork, board);
    while (atomic_load(&board->tids[0]) == 0)
        usleep(100);
    writing_body(board);
}

static void test_a_thread_in_state_d_is_left_out_of_a_copy(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(vfork_body);
    int32_t tid = atomic_load(&child.board->tids[0]);
    assert_true(wait_for_thread_state(child.pid, tid, 'D'));
    pi_capture_request request = copy_request();
    pi_snapshot *snapshot = NULL;
    procinspect_error error;
    if (pi_capture(child.process, &request, &snapshot, &error) != 0)
        fail_msg("%d: %s", error.code, error.message);
    assert_int_equal(snapshot->report.way, PROCINSPECT_DUMP_WAY_COPY);
    assert_int_equal(snapshot->report.thread_count, 1);
    assert_false(find_thread(snapshot, tid)->has_registers);
    assert_int_equal(thread_state(child.pid, tid), 'D'); /* nobody has waited for it */
    pi_snapshot_free(snapshot);
    atomic_store(&child.board->words[7], 1);
    wait_for_rounds(&child, 1);
    child_end(&child);
}

/* Nobody's, that may not fork, and takes 100 ms to stop: so long the thread in D is waited for. */
static void limited_vfork_body(child_board *board) {
    pthread_t thread;
    become_nobody();
    pthread_create(&thread, NULL, wait_in_vfork, board);
    while (atomic_load(&board->tids[0]) == 0 ||
           thread_state(getpid(), atomic_load(&board->tids[0])) != 'D')
        usleep(100);
    if (setrlimit(RLIMIT_NPROC, &(struct rlimit){0, 0}) != 0)
        _exit(97);
    writing_body(board);
}

/* That its fork is refused is known only when it has stood still for that. */
static void test_the_pause_is_that_of_all_stops(void **state) {
    const uint64_t least_stop_ns = 100000000;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(limited_vfork_body);
    pi_capture_request request = large_request();
    pi_snapshot *snapshot = NULL;
    procinspect_error error;
    if (pi_capture(child.process, &request, &snapshot, &error) != 0)
        fail_msg("%d: %s", error.code, error.message);
    const procinspect_dump_report *report = &snapshot->report;
    assert_int_equal(report->way, PROCINSPECT_DUMP_WAY_SPOOL);
    assert_non_null(strstr(report->way_reason, "fork: "));
    assert_true(report->pause_stop_ns >= 2 * least_stop_ns);
    assert_true(report->pause_copy_ns > 0);
    assert_true(report->pause_memory_ns > report->pause_copy_ns);
    assert_true(report->pause_ns >= report->pause_stop_ns + report->pause_registers_ns +
                                        report->pause_memory_ns + report->pause_resume_ns);
    pi_snapshot_free(snapshot);

    /* And both together are what is permitted. */
    request.max_pause_ms = 450;
    int32_t code = pi_capture(child.process, &request, &snapshot, &error);
    if (code == 0) {
        assert_pause_as_permitted(&snapshot->report, request.max_pause_ms);
        pi_snapshot_free(snapshot);
    } else {
        assert_int_equal(code, PROCINSPECT_ERROR_TIMED_OUT);
    }
    atomic_store(&child.board->words[7], 1);
    wait_for_rounds(&child, 1);
    child_end(&child);
}

static void only_vfork_body(child_board *board) {
    atomic_store(&board->ready, 1);
    wait_in_vfork(board);
    beating_body(board);
}

/* Where that is the only one, the time limit ends it, whatever the way. */
static void test_a_process_in_state_d_is_given_up(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(only_vfork_body);
    assert_true(wait_for_thread_state(child.pid, child.pid, 'D'));
    for (uint32_t way = PROCINSPECT_DUMP_WAY_HOLD; way <= PROCINSPECT_DUMP_WAY_LIVE; way++) {
        pi_capture_request request = large_request();
        request.way = way;
        request.hold_buffer_bytes = UINT64_C(4) << 30;
        request.max_pause_ms = 400;
        assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_TIMED_OUT, "state D");
        assert_int_equal(thread_state(child.pid, child.pid), 'D');
    }
    atomic_store(&child.board->words[7], 1);
    assert_beats(&child);
    child_end(&child);
}

/* --- Its place among processes --- */

static void namespace_body(child_board *board) {
    run_as_init_of_a_namespace(board, writing_body);
}

static void test_the_init_of_a_namespace(void **state) {
    procinspect_error error;
    pi_process *process;
    (void)state;
    if (geteuid() != 0)
        skip();
    test_child child = child_start(namespace_body);
    assert_true(wait_until(&child.board->pids[0]));
    pid_t init = atomic_load(&child.board->pids[0]);
    if (pi_process_open(child.system, init, &process, &error) != 0)
        fail_msg("%s", error.message);
    pi_capture_request request = large_request();
    for (int i = 0; i < 3; i++) {
        pi_snapshot *snapshot = NULL;
        if (pi_capture(process, &request, &snapshot, &error) != 0)
            fail_msg("%d: %s", error.code, error.message);
        assert_int_equal(snapshot->report.way, PROCINSPECT_DUMP_WAY_COPY);
        assert_int_equal(count_children(init), 1);
        copy_word_at(snapshot, atomic_load(&child.board->words[0]));
        pi_snapshot_free(snapshot);
        assert_int_equal(count_children(init), 0);
        wait_for_rounds(&child, 1);
    }
    pi_process_close(process);
    kill(init, SIGKILL);
    child_end(&child);
}

static void subreaper_body(child_board *board) {
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    writing_body(board);
}

static void test_a_subreaper(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(subreaper_body);
    for (int i = 0; i < 3; i++) {
        assert_way(&child, PROCINSPECT_DUMP_WAY_COPY);
        assert_int_equal(count_children(child.pid), 0);
    }
    child_end(&child);
}

static void test_a_traced_process(void **state) {
    int status;
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    assert_int_equal(ptrace(PTRACE_SEIZE, child.pid, 0, 0), 0);
    for (uint32_t way = PROCINSPECT_DUMP_WAY_AUTO; way <= PROCINSPECT_DUMP_WAY_LIVE; way++) {
        pi_capture_request request = large_request();
        request.way = way;
        if (way != PROCINSPECT_DUMP_WAY_HOLD)
            assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_TRACED,
                                 "one tracer only");
    }
    assert_int_equal(ptrace(PTRACE_INTERRUPT, child.pid, 0, 0), 0);
    assert_int_equal(waitpid(child.pid, &status, __WALL), child.pid);
    assert_int_equal(ptrace(PTRACE_DETACH, child.pid, 0, 0), 0);
    assert_way(&child, PROCINSPECT_DUMP_WAY_COPY);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strict_mode),
        cmocka_unit_test(test_a_filter_that_kills_on_clone),
        cmocka_unit_test(test_a_filter_behind_many_groups),
        cmocka_unit_test(test_a_containers_usual_filter),
        cmocka_unit_test(test_a_thread_in_state_d_is_left_out_of_a_copy),
        cmocka_unit_test(test_the_pause_is_that_of_all_stops),
        cmocka_unit_test(test_a_process_in_state_d_is_given_up),
        cmocka_unit_test(test_the_init_of_a_namespace),
        cmocka_unit_test(test_a_subreaper),
        cmocka_unit_test(test_a_traced_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
