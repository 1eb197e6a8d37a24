/* Which thread is to make the call: from made-up registers and mappings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/linux/capture/fork_thread.h"

enum { MOST_THREADS = 100, CODE_OF_64_BITS = 0x33, CODE_OF_32_BITS = 0x23 };

/* Stacks: the main one, one with a guard, one without, shared memory. */
static const char maps[] =
    "10000-20000 rw-p 00000000 00:00 0 \n"
    "30000-40000 ---p 00000000 00:00 0 \n"
    "40000-50000 rw-p 00000000 00:00 0 \n"
    "60000-70000 rw-s 00000000 00:01 7                      /dev/zero (deleted)\n"
    "70000-80000 r--p 00000000 00:00 0 \n"
    "90000-a0000 rw-p 00000000 00:00 0                      [stack]\n";
enum { UNSURE = 0x18000, GUARDED = 0x48000, SHARED = 0x68000, READ_ONLY = 0x78000, MAIN = 0x98000 };

static pi_stop stop;
static pi_stop_thread threads[MOST_THREADS];
static pi_stop_registers registers[MOST_THREADS];
static pi_fork forked;
static pi_fork_candidate found[PI_FORK_MOST_CANDIDATES];

static int begin(void **state) {
    (void)state;
    memset(threads, 0, sizeof threads);
    memset(registers, 0, sizeof registers);
    stop = (pi_stop){.pid = getpid(), .threads = threads, .registers = registers};
    forked =
        (pi_fork){.stop = &stop, .maps = (char *)(uintptr_t)maps, .maps_length = sizeof maps - 1};
    return 0;
}

/* Adds a thread: its index. */
static uint32_t add(uint64_t stack, long call, long result) {
    uint32_t index = stop.count++;
    threads[index] =
        (pi_stop_thread){.tid = (int32_t)index + 1, .state = PI_STOP_STANDS, .has_registers = 1};
    registers[index].general.cs = CODE_OF_64_BITS;
    registers[index].general.rsp = stack;
    registers[index].general.orig_rax = (unsigned long long)call;
    registers[index].general.rax = (unsigned long long)result;
    return index;
}

static void assert_order(const uint32_t *expected, uint32_t count) {
    assert_int_equal(pi_fork_choose(&forked, found), count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(found[i].index, expected[i]);
}

static void from_the_best_to_the_worst(void **state) {
    (void)state;
    uint32_t odd = add(GUARDED, SYS_rt_sigsuspend, -514);
    uint32_t code_unsure = add(UNSURE, -1, 5);
    uint32_t code = add(GUARDED, -1, 5);
    uint32_t behind_unsure = add(UNSURE, SYS_read, 5);
    uint32_t in_unsure = add(UNSURE, SYS_futex, -512);
    uint32_t behind = add(MAIN, SYS_read, 5);
    uint32_t in = add(GUARDED, SYS_poll, -516);
    uint32_t in_main = add(MAIN, SYS_read, -512);
    assert_order(
        (const uint32_t[]){in, in_main, behind, in_unsure, behind_unsure, code, code_unsure, odd},
        8);
    assert_int_equal(found[0].place, PI_FORK_IN_CALL);
    assert_true(found[0].has_sure_stack);
    assert_int_equal(found[0].stack_lowest, 0x40000);
    assert_true(found[1].has_sure_stack);
    assert_false(found[3].has_sure_stack);
}

static void what_never_serves(void **state) {
    (void)state;
    add(SHARED, SYS_read, -512);
    add(READ_ONLY, SYS_read, -512);
    add(0x55000, SYS_read, -512);
    add(0x40000, SYS_read, -512);
    uint32_t narrow = add(GUARDED, SYS_read, -512);
    registers[narrow].general.cs = CODE_OF_32_BITS;
    uint32_t running = add(GUARDED, SYS_read, -512);
    threads[running].state = PI_STOP_RUNS;
    uint32_t unknown = add(GUARDED, SYS_read, -512);
    threads[unknown].has_registers = 0;
    assert_order(NULL, 0);
}

static void calls_with_a_mask_of_their_own_come_last(void **state) {
    (void)state;
    uint32_t ppoll = add(GUARDED, SYS_ppoll, -514);
    registers[ppoll].general.r10 = 1;
    uint32_t pselect = add(GUARDED, SYS_pselect6, -514);
    registers[pselect].general.r9 = 1;
    uint32_t epoll = add(GUARDED, SYS_epoll_pwait, -EINTR);
    registers[epoll].general.r8 = 1;
    threads[epoll].needs_restart = 1;
    uint32_t running = add(GUARDED, -1, 0);
    uint32_t no_mask = add(GUARDED, SYS_ppoll, -514);
    assert_order((const uint32_t[]){no_mask, running, ppoll, pselect, epoll}, 5);
    assert_int_equal(found[4].place, PI_FORK_IN_ODD_CALL);
}

/* EINTR may be the answer to a signal. */
static void calls_that_answer_eintr(void **state) {
    (void)state;
    uint32_t signalled = add(GUARDED, SYS_epoll_wait, -EINTR);
    uint32_t interrupted = add(GUARDED, SYS_epoll_wait, -EINTR);
    threads[interrupted].needs_restart = 1;
    assert_order((const uint32_t[]){interrupted, signalled}, 2);
    assert_int_equal(found[0].place, PI_FORK_IN_CALL);
    assert_int_equal(found[1].place, PI_FORK_BEHIND_CALL);
}

static void calls_under_way_for_the_second_time(void **state) {
    (void)state;
    static const unsigned char loads[] = {0xb8, SYS_clock_nanosleep, 0, 0, 0, 0x0f, 0x05, 0};
    static const unsigned char other[] = {0x48, 0x89, 0xf8, 0x90, 0x90, 0x0f, 0x05, 0};
    uint32_t hidden = add(GUARDED, SYS_restart_syscall, -516);
    registers[hidden].general.rip = (uintptr_t)other + 7;
    uint32_t known = add(GUARDED, SYS_restart_syscall, -516);
    registers[known].general.rip = (uintptr_t)loads + 7;
    assert_int_equal(pi_inject_restarted_call(getpid(), &registers[known].general),
                     SYS_clock_nanosleep);
    assert_int_equal(pi_inject_restarted_call(getpid(), &registers[hidden].general), -1);
    assert_order((const uint32_t[]){known, hidden}, 2);
}

static void the_best_of_many(void **state) {
    (void)state;
    for (int i = 0; i < 60; i++)
        add(UNSURE, -1, 0);
    uint32_t best = add(GUARDED, SYS_futex, -512);
    assert_int_equal(pi_fork_choose(&forked, found), PI_FORK_MOST_CANDIDATES);
    assert_int_equal(found[0].index, best);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(from_the_best_to_the_worst, begin),
        cmocka_unit_test_setup(what_never_serves, begin),
        cmocka_unit_test_setup(calls_with_a_mask_of_their_own_come_last, begin),
        cmocka_unit_test_setup(calls_that_answer_eintr, begin),
        cmocka_unit_test_setup(calls_under_way_for_the_second_time, begin),
        cmocka_unit_test_setup(the_best_of_many, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
