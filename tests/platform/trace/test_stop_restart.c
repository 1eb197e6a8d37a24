/* SPDX-License-Identifier: MIT */
/* Which interrupted calls are made to restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/syscall.h>

#include "platform/linux/trace/stop.h"

static bool restarts(long long call, long result, unsigned long long second_argument) {
    struct user_regs_struct registers = {0};
    registers.orig_rax = (unsigned long long)call;
    registers.rax = (unsigned long long)result;
    registers.rsi = second_argument;
    return pi_call_needs_restart(&registers);
}

static void test_calls_that_answer_every_wake_up(void **state) {
    static const long calls[] = {
        SYS_epoll_wait,     SYS_epoll_pwait, SYS_epoll_pwait2, SYS_rt_sigtimedwait,
        SYS_semop,          SYS_semtimedop,  SYS_io_getevents, SYS_io_pgetevents,
        SYS_io_uring_enter, SYS_accept,      SYS_accept4,      SYS_connect,
        SYS_recvfrom,       SYS_recvmsg,     SYS_recvmmsg,     SYS_sendto,
        SYS_sendmsg,        SYS_sendmmsg,    SYS_read,         SYS_readv,
        SYS_write,          SYS_writev,      SYS_pread64,      SYS_preadv,
        SYS_pwrite64,       SYS_pwritev,     SYS_newfstatat,   SYS_statx,
        SYS_getdents64,     SYS_readlink,    SYS_fsync,        SYS_execve};
    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        assert_true(restarts(calls[i], -EINTR, 0));
        /* Another answer is the answer: a count, 0, another error, the kernel's own restart. */
        static const long others[] = {0, 1, -EAGAIN, -512, -513, -514, -516, EINTR};
        for (size_t k = 0; k < sizeof others / sizeof others[0]; k++)
            assert_false(restarts(calls[i], others[k], 0));
    }
}

static void test_calls_that_are_left_alone(void **state) {
    static const long calls[] = {SYS_close, SYS_ioctl,  SYS_nanosleep,    SYS_futex,
                                 SYS_kill,  SYS_clone,  SYS_rt_sigreturn, SYS_close_range,
                                 SYS_mkdir, SYS_rename, SYS_unlink,       SYS_openat2,
                                 -1,        100000};
    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        assert_false(restarts(calls[i], -EINTR, 0));
}

static void test_fallocate_restarts_unless_it_moves_bytes(void **state) {
    (void)state;
    assert_true(restarts(SYS_fallocate, -EINTR, 0));
    assert_true(restarts(SYS_fallocate, -EINTR, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE));
    assert_false(restarts(SYS_fallocate, -EINTR, FALLOC_FL_COLLAPSE_RANGE));
    assert_false(restarts(SYS_fallocate, -EINTR, FALLOC_FL_INSERT_RANGE));
}

static void test_open_restarts_unless_it_must_make_the_file(void **state) {
    struct user_regs_struct registers = {.orig_rax = SYS_openat, .rax = (unsigned long long)-EINTR};
    (void)state;
    assert_true(restarts(SYS_open, -EINTR, O_RDONLY));
    assert_true(restarts(SYS_open, -EINTR, O_RDWR | O_CREAT | O_TRUNC));
    assert_false(restarts(SYS_open, -EINTR, O_RDWR | O_CREAT | O_EXCL));
    registers.rsi = O_EXCL; /* of the path's address */
    registers.rdx = O_RDWR | O_CREAT;
    assert_true(pi_call_needs_restart(&registers));
    registers.rdx |= O_EXCL;
    assert_false(pi_call_needs_restart(&registers));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_that_answer_every_wake_up),
        cmocka_unit_test(test_calls_that_are_left_alone),
        cmocka_unit_test(test_fallocate_restarts_unless_it_moves_bytes),
        cmocka_unit_test(test_open_restarts_unless_it_must_make_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
