/* SPDX-License-Identifier: MIT */
/* Captures by spool: when they are chosen, what becomes of the file, and what may be wrong with
 * it. */
#include "platform/capture/copy_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <procinspect/dump.h>

static char directory[] = "/tmp/procinspect-spool-test-XXXXXX";

static int make_directory(void **state) {
    (void)state;
    return mkdtemp(directory) == NULL || chmod(directory, 0777) != 0;
}

static int remove_directory(void **state) {
    (void)state;
    return rmdir(directory); /* which fails where anything is left in it */
}

static pi_capture_request spool_request(void) {
    pi_capture_request request = copy_request();
    request.way = PROCINSPECT_DUMP_WAY_SPOOL;
    request.spool_directory = directory;
    return request;
}

static size_t count_entries(void) {
    size_t count = 0;
    DIR *entries = opendir(directory);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

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
    assert_int_equal(count_entries(), 0);
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

/* For processes that can't use cmocka. */
static void expect(const pi_process *process, const pi_capture_request *request, int32_t code,
                   const char *text) {
    pi_snapshot *snapshot = NULL;
    procinspect_error error = {0};
    int32_t result = pi_capture(process, request, &snapshot, &error);
    const char *said = result == 0 ? snapshot->report.way_reason : error.message;
    bool is_right = result == code && strstr(said, text) != NULL &&
                    (result != 0 || snapshot->report.way == PROCINSPECT_DUMP_WAY_SPOOL);
    if (!is_right)
        fprintf(stderr, "%d instead of %d with \"%s\": %s\n", result, code, text, said);
    pi_snapshot_free(snapshot);
    if (!is_right)
        _exit(93);
}

static void expect_filtered(const pi_process *process) {
    pi_capture_request request = spool_request();
    request.way = PROCINSPECT_DUMP_WAY_AUTO;
    expect(process, &request, 0, "can't be copied: it has a seccomp filter");
    request.spool_directory = NULL;
    expect(process, &request, PROCINSPECT_ERROR_PERMISSION, "name a spool_directory");
    request.spool_directory = directory;
    request.way = PROCINSPECT_DUMP_WAY_COPY;
    expect(process, &request, PROCINSPECT_ERROR_PERMISSION, "it has a seccomp filter");
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
    char path[sizeof directory + 16];
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    snprintf(path, sizeof path, "%s/missing", directory);
    assert_directory_fails(&child, path, PROCINSPECT_ERROR_IO,
                           "can't be opened (No such file or directory); make it. The process was "
                           "not stopped.");
    snprintf(path, sizeof path, "%s/file", directory);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_directory_fails(&child, path, PROCINSPECT_ERROR_IO, "Not a directory");
    unlink(path);
    snprintf(path, sizeof path, "%s/pipe", directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_directory_fails(&child, path, PROCINSPECT_ERROR_IO, "Not a directory");
    unlink(path);
    assert_directory_fails(&child, "/proc/self", PROCINSPECT_ERROR_IO, "no file could be made");
    if (geteuid() != 0) {
        snprintf(path, sizeof path, "%s/closed", directory);
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

/* In a process of its own, with mounts of its own: `check` is to end well. */
static void run_as_host(void (*check)(const pi_process *process), const pi_process *process) {
    int status;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        check(process);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("in the host's process: status 0x%x", (unsigned)status);
}

static void mount_on_directory(const char *options, unsigned long flags) {
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", directory, "tmpfs", flags, options) != 0)
        _exit(77);
}

static void expect_full(const pi_process *process) {
    pi_capture_request request = spool_request();
    mount_on_directory("size=16m", 0);
    expect(process, &request, PROCINSPECT_ERROR_NO_RESOURCES, "16777216 are free; free some");
}

static void expect_read_only(const pi_process *process) {
    pi_capture_request request = spool_request();
    mount_on_directory("size=16m", MS_RDONLY);
    expect(process, &request, PROCINSPECT_ERROR_IO, "its file system is read-only");
}

static void expect_limited(const pi_process *process) {
    pi_capture_request request = spool_request();
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){COPY_PAGE, COPY_PAGE});
    expect(process, &request, PROCINSPECT_ERROR_NO_RESOURCES, "raise RLIMIT_FSIZE");
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
    expect(process, &request, 0, "It was asked for.");
}

static void expect_no_reservation(const pi_process *process) {
    pi_capture_request request = spool_request();
    answer_calls(SYS_fallocate, 0, 0, SECCOMP_RET_ERRNO | EOPNOTSUPP);
    expect(process, &request, 0, "It was asked for.");
}

static void expect_quota(const pi_process *process) {
    pi_capture_request request = spool_request();
    answer_calls(SYS_fallocate, 0, 0, SECCOMP_RET_ERRNO | EDQUOT);
    expect(process, &request, PROCINSPECT_ERROR_NO_RESOURCES,
           "raise its user's quota, or name another directory. The process was not stopped.");
}

static void expect_full_later(const pi_process *process) {
    pi_capture_request request = spool_request();
    answer_calls(SYS_pwrite64, 0, 0, SECCOMP_RET_ERRNO | ENOSPC);
    expect(process, &request, PROCINSPECT_ERROR_NO_RESOURCES, "It runs on.");
}

static void expect_broken(const pi_process *process) {
    pi_capture_request request = spool_request();
    answer_calls(SYS_pwrite64, 0, 0, SECCOMP_RET_ERRNO | EIO);
    expect(process, &request, PROCINSPECT_ERROR_IO, "look at its disk. It runs on.");
}

static void test_other_file_systems(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    run_as_host(expect_named, child.process);
    assert_int_equal(count_entries(), 0);
    run_as_host(expect_no_reservation, child.process);
    run_as_host(expect_quota, child.process);
    run_as_host(expect_full_later, child.process);
    run_as_host(expect_broken, child.process);
    assert_int_equal(count_entries(), 0);
    wait_for_rounds(&child, 1);
    child_end(&child);
}

/* A disk that doesn't answer: each write waits for good. */
static void expect_hung(const pi_process *process) {
    pi_capture_request request = spool_request();
    answer_calls(SYS_pwrite64, 0, 0, SECCOMP_RET_USER_NOTIF);
    request.max_pause_ms = 300;
    expect(process, &request, PROCINSPECT_ERROR_TIMED_OUT, "Raise max_pause_ms");
}

/* Or not even while the file is made. */
static void expect_hung_early(const pi_process *process) {
    pi_capture_request request = spool_request();
    answer_calls(SYS_fallocate, 0, 0, SECCOMP_RET_USER_NOTIF);
    expect(process, &request, PROCINSPECT_ERROR_TIMED_OUT, "use one on a local disk");
}

static void test_a_disk_that_hangs(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(writing_body);
    run_as_host(expect_hung, child.process);
    wait_for_rounds(&child, 1);
    run_as_host(expect_hung_early, child.process);
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
    expect(process, &request, PROCINSPECT_ERROR_IO,
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
        cmocka_unit_test(test_directories_that_are_none),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_other_file_systems),
        cmocka_unit_test(test_a_disk_that_hangs),
        cmocka_unit_test(test_a_writer_that_is_killed),
        cmocka_unit_test(test_it_is_cancelled),
        cmocka_unit_test(test_few_descriptors),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
