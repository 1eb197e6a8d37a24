#include "platform/capture/fork_workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

void workload_report(child_board *board, unsigned what, unsigned long seen) {
    uint64_t none = 0;
    atomic_fetch_add(&board->words[WORD_ERRORS], 1);
    atomic_compare_exchange_strong(&board->words[WORD_FIRST_ERROR], &none,
                                   what | (uint64_t)seen << 8);
}

void workload_count_round(child_board *board) {
    atomic_fetch_add(&board->words[WORD_ROUNDS], 1);
}

void workload_begin(child_board *board) {
    atomic_fetch_add(&board->words[WORD_READY], 1);
}

static child_board *counting_board;

static void count_child_signal(int number) {
    (void)number;
    atomic_fetch_add(&counting_board->words[WORD_SIGNALS], 1);
}

void start_workloads(child_board *board, const workload *workloads, size_t count) {
    struct sigaction action = {.sa_handler = count_child_signal, .sa_flags = SA_RESTART};
    sigset_t child;
    counting_board = board;
    sigaction(SIGCHLD, &action, NULL);
    /* Handled by the main thread only: the others' calls answer as if there was none. */
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &child, NULL);
    for (size_t i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, workloads[i], board) != 0)
            abort();
    }
    while (atomic_load(&board->words[WORD_READY]) < count)
        sleep_ms(1);
    pthread_sigmask(SIG_UNBLOCK, &child, NULL);
    atomic_store(&board->ready, 1);
}

void start_every_call(child_board *board) {
    static const workload kinds[] = {check_registers, check_nanosleep, check_clock_nanosleep,
                                     check_futex,     check_read,      check_epoll,
                                     check_poll,      check_select,    check_sigtimedwait,
                                     check_recv,      check_wait,      check_pause};
    start_workloads(board, kinds, sizeof kinds / sizeof kinds[0]);
}

void assert_no_errors(const child_board *board) {
    uint64_t errors = atomic_load(&board->words[WORD_ERRORS]);
    uint64_t first = atomic_load(&board->words[WORD_FIRST_ERROR]);
    if (errors != 0)
        fail_msg("%lu checks of the target failed, first %u, which saw %lu", (unsigned long)errors,
                 (unsigned)(first & 255), (unsigned long)(first >> 8));
}

void wait_for_rounds(child_board *board, uint64_t rounds) {
    enum { MOST_MS = 120000 };
    uint64_t before = atomic_load(&board->words[WORD_ROUNDS]);
    for (int i = 0; i < MOST_MS; i++) {
        if (atomic_load(&board->words[WORD_ROUNDS]) - before >= rounds)
            return;
        sleep_ms(1);
    }
    fail_msg("the target has come to stand");
}
