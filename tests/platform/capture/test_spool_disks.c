/* SPDX-License-Identifier: MIT */
/* Captures by spool: what may be wrong with the directory and its disk. */
#include "platform/capture/spool_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <procinspect/dump.h>

/* --- Directories --- */

static void assert_directory_fails(const test_child *child, const char *path, int32_t code,
                                   const char *text) {
    pi_capture_request request = spool_request();
    size_t descriptors = count_descriptors();
    request.spool_directory = path;
    assert_capture_fails(child->process, &request, code, text);
    assert_int_equal(count_descriptors(), descriptors);
    wait_for_rounds(child, 1);
}

static void test_directories_that_are_none(void **state) {
    char path[sizeof spool_directory + 16];
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    snprintf(path, sizeof path, "%s/missing", spool_directory);
    assert_directory_fails(&child, path, PROCINSPECT_ERROR_IO,
                           "can't be opened (No such file or directory); make it. The process was "
                           "not stopped.");
    snprintf(path, sizeof path, "%s/file", spool_directory);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_directory_fails(&child, path, PROCINSPECT_ERROR_IO, "Not a directory");
    unlink(path);
    snprintf(path, sizeof path, "%s/pipe", spool_directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_directory_fails(&child, path, PROCINSPECT_ERROR_IO, "Not a directory");
    unlink(path);
    assert_directory_fails(&child, "/proc/self", PROCINSPECT_ERROR_IO, "no file could be made");
    if (geteuid() != 0) {
        snprintf(path, sizeof path, "%s/closed", spool_directory);
        assert_int_equal(mkdir(path, 0500), 0);
        assert_directory_fails(&child, path, PROCINSPECT_ERROR_IO,
                               "let the host's user write there");
        rmdir(path);
    }
    pi_capture_request request = spool_request();
    request.spool_directory = NULL;
    assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_UNSUPPORTED,
                         "names no spool_directory");
    child_end(&child);
}

static void mount_on_directory(const char *options, unsigned long flags) {
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", spool_directory, "tmpfs", flags, options) != 0)
        _exit(77);
}

static void expect_full(const pi_process *process) {
    pi_capture_request request = spool_request();
    mount_on_directory("size=16m", 0);
    spool_expect(process, &request, PROCINSPECT_ERROR_NO_RESOURCES, "16777216 are free; free some");
}

static void expect_read_only(const pi_process *process) {
    pi_capture_request request = spool_request();
    mount_on_directory("size=16m", MS_RDONLY);
    spool_expect(process, &request, PROCINSPECT_ERROR_IO, "its file system is read-only");
}

static void expect_limited(const pi_process *process) {
    pi_capture_request request = spool_request();
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){COPY_PAGE, COPY_PAGE});
    spool_expect(process, &request, PROCINSPECT_ERROR_NO_RESOURCES, "raise RLIMIT_FSIZE");
}

static void test_no_room(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    run_as_host(expect_limited, child.process);
    if (geteuid() == 0) {
        run_as_host(expect_full, child.process);
        run_as_host(expect_read_only, child.process);
    }
    wait_for_rounds(&child, 1);
    child_end(&child);
}

/* --- File systems that answer otherwise: a filter of the host's speaks for them --- */

/* Calls of that number whose argument has these bits are answered so: SECCOMP_RET_…. The listener
 * where that asks for one. */
static int answer_calls(unsigned number, unsigned argument, uint32_t bits, uint32_t answer) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 (uint32_t)(offsetof(struct seccomp_data, args) + 8 * argument)),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, bits, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    bool listens = answer == SECCOMP_RET_USER_NOTIF;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        _exit(77);
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                          listens ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0, &program);
    if (result < 0)
        _exit(77);
    return (int)result;
}

static void expect_named(const pi_process *process) {
    pi_capture_request request = spool_request();
    answer_calls(SYS_openat, 2, O_TMPFILE, SECCOMP_RET_ERRNO | EOPNOTSUPP);
    spool_expect(process, &request, 0, "It was asked for.");
}

static void expect_no_reservation(const pi_process *process) {
    pi_capture_request request = spool_request();
    answer_calls(SYS_fallocate, 0, 0, SECCOMP_RET_ERRNO | EOPNOTSUPP);
    spool_expect(process, &request, 0, "It was asked for.");
}

static void expect_quota(const pi_process *process) {
    pi_capture_request request = spool_request();
    answer_calls(SYS_fallocate, 0, 0, SECCOMP_RET_ERRNO | EDQUOT);
    spool_expect(process, &request, PROCINSPECT_ERROR_NO_RESOURCES,
                 "raise its user's quota, or name another directory. The process was not stopped.");
}

static void expect_full_later(const pi_process *process) {
    pi_capture_request request = spool_request();
    answer_calls(SYS_pwrite64, 0, 0, SECCOMP_RET_ERRNO | ENOSPC);
    spool_expect(process, &request, PROCINSPECT_ERROR_NO_RESOURCES, "It runs on.");
}

static void expect_broken(const pi_process *process) {
    pi_capture_request request = spool_request();
    answer_calls(SYS_pwrite64, 0, 0, SECCOMP_RET_ERRNO | EIO);
    spool_expect(process, &request, PROCINSPECT_ERROR_IO, "look at its disk. It runs on.");
}

static void test_other_file_systems(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    run_as_host(expect_named, child.process);
    assert_int_equal(spool_entries(), 0);
    run_as_host(expect_no_reservation, child.process);
    run_as_host(expect_quota, child.process);
    run_as_host(expect_full_later, child.process);
    run_as_host(expect_broken, child.process);
    assert_int_equal(spool_entries(), 0);
    wait_for_rounds(&child, 1);
    child_end(&child);
}

/* A disk that doesn't answer: each write waits for good. */
static void expect_hung(const pi_process *process) {
    pi_capture_request request = spool_request();
    answer_calls(SYS_pwrite64, 0, 0, SECCOMP_RET_USER_NOTIF);
    request.max_pause_ms = 300;
    spool_expect(process, &request, PROCINSPECT_ERROR_TIMED_OUT, "Raise max_pause_ms");
}

/* Or not even while the file is made. */
static void expect_hung_early(const pi_process *process) {
    pi_capture_request request = spool_request();
    answer_calls(SYS_fallocate, 0, 0, SECCOMP_RET_USER_NOTIF);
    spool_expect(process, &request, PROCINSPECT_ERROR_TIMED_OUT, "use one on a local disk");
}

static void expect_hung_at_once(const pi_process *process) {
    pi_capture_request request = spool_request();
    answer_calls(SYS_openat, 2, O_TMPFILE, SECCOMP_RET_USER_NOTIF);
    size_t descriptors = count_descriptors();
    spool_expect(process, &request, PROCINSPECT_ERROR_TIMED_OUT, "use one on a local disk");
    if (count_descriptors() != descriptors)
        _exit(94);
}

static void test_a_disk_that_hangs(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    run_as_host(expect_hung, child.process);
    wait_for_rounds(&child, 1);
    run_as_host(expect_hung_early, child.process);
    run_as_host(expect_hung_at_once, child.process);
    wait_for_rounds(&child, 1);
    child_end(&child);
}

/* Who asks to write is the writer: it is killed. */
static void expect_killed(const pi_process *process) {
    pi_capture_request request = spool_request();
    int listener = answer_calls(SYS_pwrite64, 0, 0, SECCOMP_RET_USER_NOTIF);
    pid_t killer = fork();
    if (killer == 0) {
        struct seccomp_notif notice = {0};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notice) == 0)
            kill((pid_t)notice.pid, SIGKILL);
        _exit(0);
    }
    spool_expect(process, &request, PROCINSPECT_ERROR_IO,
                 "The helper process that writes to spool_directory was killed");
    waitpid(killer, NULL, 0);
}

static void test_a_writer_that_is_killed(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    run_as_host(expect_killed, child.process);
    wait_for_rounds(&child, 1);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directories_that_are_none), cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_other_file_systems),        cmocka_unit_test(test_a_disk_that_hangs),
        cmocka_unit_test(test_a_writer_that_is_killed),
    };
    return cmocka_run_group_tests(tests, spool_directory_make, spool_directory_remove);
}
