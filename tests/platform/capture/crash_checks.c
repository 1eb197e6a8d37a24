#include "platform/capture/crash_checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "platform/capture/fork_run.h"
#include "platform/capture/fork_workload.h"

enum { CRASHES = 50, SOAK_CRASHES = 1000 };

int crash_count(void) {
    return getenv("PROCINSPECT_TEST_SOAK") != NULL ? SOAK_CRASHES : CRASHES;
}

void interruptible_body(child_board *board) {
    atomic_store(&board->words[WORD_MAY_BE_INTERRUPTED], 1);
    static const workload kinds[] = {
        check_nanosleep, check_clock_nanosleep, check_futex, check_read,      check_epoll,
        check_poll,      check_select,          check_recv,  check_registers, check_sigtimedwait,
        check_pause};
    start_workloads(board, kinds, sizeof kinds / sizeof kinds[0]);
    for (;;)
        pause();
}

void assert_few_zombies(pid_t pid, int *zombies) {
    enum { MOST_MS = 60000 };
    int living = count_living_children(pid);
    for (int i = 0; i < MOST_MS && living > 0; i++) {
        sleep_ms(1);
        living = count_living_children(pid);
    }
    assert_true(living <= 0);
    int left = count_children(pid) - living;
    assert_true(left <= 1);
    *zombies += left > 0;
}

bool is_stopped(pid_t pid) {
    char state = thread_state(pid, pid);
    return state == 'T' || state == 't';
}
