/* Targets whose own doings forbid a fork, or seem to: each is told apart, and runs on. */
#include "platform/capture/child.h"
#include "platform/capture/fork_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/linux/linux.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

/* Targets count what they are sent: that takes no call but read, which strict mode permits. */
static int pulse[2];

static void count_pulses(child_board *board) {
    char byte;
    atomic_store(&board->ready, 1);
    while (read(pulse[0], &byte, 1) == 1)
        atomic_fetch_add(&board->beats, 1);
    syscall(SYS_exit, 95);
}

static test_child start(void (*body)(child_board *board)) {
    assert_int_equal(pipe2(pulse, O_CLOEXEC), 0);
    return child_start(body);
}

static void assert_runs(const test_child *child) {
    unsigned beats = atomic_load(&child->board->beats);
    assert_int_equal(write(pulse[1], "x", 1), 1);
    for (int i = 0; i < 20000 && atomic_load(&child->board->beats) == beats; i++)
        sleep_ms(1);
    assert_int_equal(atomic_load(&child->board->beats), beats + 1);
}

static void end(test_child *child) {
    assert_runs(child);
    assert_true(count_children(child->pid) <= 0);
    child_end(child);
    close(pulse[0]);
    close(pulse[1]);
}

/* Forks, and fails the test unless that is the answer; its errno. */
static int32_t assert_answer(const test_child *child, pi_fork_result expected) {
    fork_run *run = fork_begin(child->pid);
    fork_end(run);
    assert_int_equal(run->helper_result, 0);
    assert_int_equal(run->stopped, PI_STOP_OK);
    assert_int_equal(run->result, expected);
    assert_true(run->has_ended);
    int32_t failed_errno = run->fork->failed_errno;
    assert_int_equal(run->fork->copy_pid_in_target != 0, expected == PI_FORK_DONE);
    fork_free(run);
    return failed_errno;
}

/* --- Seccomp --- */

/* Whoever may suspend a filter forks; others are told that they can't. */
static void assert_forked_where_privileged(void (*body)(child_board *board)) {
    test_child child = start(body);
    for (int i = 0; i < 5; i++) {
        assert_answer(&child, geteuid() == 0 ? PI_FORK_DONE : PI_FORK_SECCOMP);
        assert_runs(&child);
    }
    end(&child);
}

static void strict_body(child_board *board) {
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) != 0)
        _exit(97);
    count_pulses(board);
}

/* Kills the process for whatever a fork needs. */
static void filter_calls(void) {
    static const unsigned killed[] = {SYS_clone,       SYS_clone3,  SYS_fork,
                                      SYS_close_range, SYS_setpgid, SYS_wait4};
    enum { KILLED = sizeof killed / sizeof killed[0] };
    struct sock_filter code[KILLED + 3] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)};
    for (unsigned i = 0; i < KILLED; i++)
        code[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, killed[i],
                                                   (unsigned char)(KILLED - i), 0);
    code[KILLED + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[KILLED + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog program = {KILLED + 3, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(97);
}

static void filtered_body(child_board *board) {
    filter_calls();
    count_pulses(board);
}

static void *wait_for_ever(void *argument) {
    for (;;)
        pause();
    return argument;
}

/* Only the main thread: the other is good for the call. */
static void half_filtered_body(child_board *board) {
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_ever, NULL);
    filter_calls();
    count_pulses(board);
}

static void strict_mode(void **state) {
    (void)state;
    assert_forked_where_privileged(strict_body);
}

static void a_filter_that_kills(void **state) {
    (void)state;
    assert_forked_where_privileged(filtered_body);
}

static void a_filter_of_one_thread(void **state) {
    (void)state;
    test_child child = start(half_filtered_body);
    assert_answer(&child, PI_FORK_DONE);
    end(&child);
}

static void nobodys_filtered_body(child_board *board) {
    become_nobody();
    filtered_body(board);
}

static void expect_seccomp(const pi_process *process) {
    fork_run *run = fork_begin(process->pid);
    fork_end(run);
    if (run->helper_result == 0 && run->result == PI_FORK_SECCOMP)
        return;
    fprintf(stderr, "helper %d, result %d\n", run->helper_result, (int)run->result);
    _exit(93);
}

static void without_the_privilege(void **state) {
    (void)state;
    test_child child = start(nobodys_filtered_body);
    run_as_nobody(expect_seccomp, child.process);
    end(&child);
}

/* --- Others --- */

static void dispatched_body(child_board *board) {
    static volatile char selector; /* SYSCALL_DISPATCH_FILTER_ALLOW */
    if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector) != 0)
        atomic_store(&board->words[0], 1);
    count_pulses(board);
}

static void user_dispatch(void **state) {
    (void)state;
    test_child child = start(dispatched_body);
    bool is_supported = atomic_load(&child.board->words[0]) == 0;
    assert_answer(&child, is_supported ? PI_FORK_USER_DISPATCH : PI_FORK_DONE);
    end(&child);
}

static void userfaultfd_body(child_board *board) {
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_EVENT_FORK};
    int file = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    if (file < 0 || ioctl(file, UFFDIO_API, &api) != 0)
        atomic_store(&board->words[0], 1);
    count_pulses(board);
}

static void userfaultfd_with_fork_events(void **state) {
    (void)state;
    test_child child = start(userfaultfd_body);
    bool is_permitted = atomic_load(&child.board->words[0]) == 0;
    assert_answer(&child, is_permitted ? PI_FORK_USERFAULTFD : PI_FORK_DONE);
    end(&child);
}

static void plain_userfaultfd_body(child_board *board) {
    struct uffdio_api api = {.api = UFFD_API};
    int file = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    if (file >= 0)
        ioctl(file, UFFDIO_API, &api);
    count_pulses(board);
}

static void userfaultfd_without_them(void **state) {
    (void)state;
    test_child child = start(plain_userfaultfd_body);
    assert_answer(&child, PI_FORK_DONE);
    end(&child);
}

/* Reads what the userfaultfd tells when it is told to; until then it makes no call, so that another
 * thread is chosen. */
static void *serve_forks(void *argument) {
    child_board *board = argument;
    int file = (int)atomic_load(&board->words[1]);
    struct uffd_msg message;
    while (atomic_load(&board->words[2]) == 0)
        continue;
    while (read(file, &message, sizeof message) == sizeof message)
        if (message.event == UFFD_EVENT_FORK)
            close((int)message.arg.fork.ufd);
    return NULL;
}

static void served_body(child_board *board) {
    enum { PAGE = 4096 };
    pthread_t thread;
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_EVENT_FORK};
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register area = {.range = {(uintptr_t)page, PAGE},
                                   .mode = UFFDIO_REGISTER_MODE_MISSING};
    int file = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    if (file < 0 || ioctl(file, UFFDIO_API, &api) != 0 || ioctl(file, UFFDIO_REGISTER, &area) != 0)
        atomic_store(&board->words[0], 1);
    atomic_store(&board->words[1], (uint64_t)file);
    pthread_create(&thread, NULL, serve_forks, board);
    count_pulses(board);
}

/* As where another process has the userfaultfd, which can't be seen. */
static void a_fork_that_has_to_wait(void **state) {
    (void)state;
    enum { LIMIT_NS = 50000000 };
    test_child child = start(served_body);
    if (atomic_load(&child.board->words[0]) != 0) {
        atomic_store(&child.board->words[2], 1);
        end(&child);
        skip();
    }
    assert_true(wait_for_thread_state(child.pid, child.pid, 'S'));
    fork_run *run = fork_begin_limited(child.pid, LIMIT_NS);
    fork_end(run);
    assert_int_equal(run->helper_result, 0);
    assert_int_equal(run->result, PI_FORK_TOO_LATE);
    fork_free(run);
    atomic_store(&child.board->words[2], 1);
    assert_runs(&child);
    /* What it has forked ends; and is reaped by who looks, though he doesn't fork. */
    while (count_living_children(child.pid) > 0)
        sleep_ms(1);
    assert_answer(&child, PI_FORK_USERFAULTFD);
    end(&child);
}

static void unshared_body(child_board *board) {
    if (unshare(CLONE_NEWPID) != 0)
        atomic_store(&board->words[0], 1);
    count_pulses(board);
}

static void a_pid_namespace_for_children(void **state) {
    (void)state;
    test_child child = start(unshared_body);
    bool is_permitted = atomic_load(&child.board->words[0]) == 0;
    assert_answer(&child, is_permitted ? PI_FORK_PID_NAMESPACE : PI_FORK_DONE);
    end(&child);
}

static void limited_body(child_board *board) {
    become_nobody();
    if (setrlimit(RLIMIT_NPROC, &(struct rlimit){0, 0}) != 0)
        _exit(97);
    count_pulses(board);
}

static void a_target_that_may_not_fork(void **state) {
    (void)state;
    test_child child = start(limited_body);
    assert_int_equal(assert_answer(&child, PI_FORK_REFUSED), EAGAIN);
    end(&child);
}

/* One thread, in a read whose stack has nothing below it. */
static void cramped_body(child_board *board) {
    enum { PAGE = 4096 };
    unsigned char *page = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || mprotect(page + PAGE, PAGE, PROT_READ | PROT_WRITE) != 0)
        _exit(97);
    char *byte = (char *)page + 2 * PAGE - 1;
    atomic_store(&board->ready, 1);
    for (;;) {
        long result = SYS_read;
        register void *stack __asm__("r12") = page + PAGE + 128;
        __asm__ volatile("xchg %%r12, %%rsp\n\t"
                         "syscall\n\t"
                         "xchg %%r12, %%rsp"
                         : "+a"(result), "+r"(stack)
                         : "D"((long)pulse[0]), "S"(byte), "d"(1L)
                         : "rcx", "r11", "memory");
        if (result != 1)
            _exit(95);
        atomic_fetch_add(&board->beats, 1);
    }
}

static void no_room_on_the_stack(void **state) {
    (void)state;
    test_child child = start(cramped_body);
    assert_true(wait_for_thread_state(child.pid, child.pid, 'S'));
    assert_answer(&child, PI_FORK_NO_THREAD);
    end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strict_mode),
        cmocka_unit_test(a_filter_that_kills),
        cmocka_unit_test(a_filter_of_one_thread),
        cmocka_unit_test(without_the_privilege),
        cmocka_unit_test(user_dispatch),
        cmocka_unit_test(userfaultfd_with_fork_events),
        cmocka_unit_test(userfaultfd_without_them),
        cmocka_unit_test(a_fork_that_has_to_wait),
        cmocka_unit_test(a_pid_namespace_for_children),
        cmocka_unit_test(a_target_that_may_not_fork),
        cmocka_unit_test(no_room_on_the_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
