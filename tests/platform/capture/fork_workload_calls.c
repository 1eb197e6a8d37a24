#include "platform/capture/fork_workload.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Each call has to answer what it would without us. */

enum { SLEEP_NS = 3000000 };

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Of calls that aren't restarted by the kernel itself. */
static bool is_excused(child_board *board) {
    if (errno != EINTR || atomic_load(&board->words[WORD_MAY_BE_INTERRUPTED]) == 0)
        return false;
    atomic_fetch_add(&board->words[WORD_INTERRUPTED], 1);
    return true;
}

void *check_nanosleep(void *argument) {
    child_board *board = argument;
    workload_begin(board);
    for (;;) {
        struct timespec time = {0, SLEEP_NS};
        uint64_t before = now_ns();
        if (nanosleep(&time, NULL) != 0)
            workload_report(board, WRONG_NANOSLEEP, (unsigned long)errno);
        else if (now_ns() - before < SLEEP_NS)
            workload_report(board, WRONG_NANOSLEEP, 0);
        workload_count_round(board);
    }
}

void *check_clock_nanosleep(void *argument) {
    child_board *board = argument;
    workload_begin(board);
    for (;;) {
        uint64_t until = now_ns() + SLEEP_NS;
        struct timespec time = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
        int result = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
        if (result != 0 || now_ns() < until)
            workload_report(board, WRONG_CLOCK_NANOSLEEP, (unsigned long)result);
        workload_count_round(board);
    }
}

void *check_futex(void *argument) {
    child_board *board = argument;
    uint32_t word = 7;
    workload_begin(board);
    for (;;) {
        struct timespec time = {0, SLEEP_NS};
        uint64_t before = now_ns();
        long result = syscall(SYS_futex, &word, FUTEX_WAIT, 7, &time, NULL, 0);
        if (result != -1 || errno != ETIMEDOUT || now_ns() - before < SLEEP_NS)
            workload_report(board, WRONG_FUTEX, (unsigned long)errno);
        workload_count_round(board);
    }
}

static void *write_bytes(void *argument) {
    int end = *(int *)argument;
    for (unsigned char byte = 0;; byte++) {
        sleep_ms(2);
        if (write(end, &byte, 1) != 1)
            abort();
    }
}

void *check_read(void *argument) {
    child_board *board = argument;
    int ends[2];
    pthread_t writer;
    if (pipe(ends) != 0 || pthread_create(&writer, NULL, write_bytes, &ends[1]) != 0)
        abort();
    workload_begin(board);
    for (unsigned char expected = 0;; expected++) {
        unsigned char byte = 0;
        long got = read(ends[0], &byte, 1);
        if (got != 1 || byte != expected)
            workload_report(board, WRONG_READ, got < 0 ? (unsigned long)errno : byte);
        workload_count_round(board);
    }
}

void *check_epoll(void *argument) {
    child_board *board = argument;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    workload_begin(board);
    for (;;) {
        struct epoll_event event;
        uint64_t before = now_ns();
        int result = epoll_wait(epoll, &event, 1, SLEEP_NS / 1000000);
        if (result == 0 && now_ns() - before < SLEEP_NS)
            workload_report(board, WRONG_EPOLL, 0);
        else if (result != 0 && !is_excused(board))
            workload_report(board, WRONG_EPOLL, (unsigned long)errno);
        workload_count_round(board);
    }
}

void *check_poll(void *argument) {
    child_board *board = argument;
    workload_begin(board);
    for (;;) {
        uint64_t before = now_ns();
        int result = poll(NULL, 0, SLEEP_NS / 1000000);
        if (result != 0 || now_ns() - before < SLEEP_NS)
            workload_report(board, WRONG_POLL, (unsigned long)errno);
        workload_count_round(board);
    }
}

void *check_select(void *argument) {
    child_board *board = argument;
    workload_begin(board);
    for (;;) {
        struct timeval time = {0, SLEEP_NS / 1000};
        uint64_t before = now_ns();
        int result = select(0, NULL, NULL, NULL, &time);
        if (result != 0 || now_ns() - before < SLEEP_NS)
            workload_report(board, WRONG_SELECT, (unsigned long)errno);
        workload_count_round(board);
    }
}

void *check_sigtimedwait(void *argument) {
    child_board *board = argument;
    sigset_t set, mask;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    workload_begin(board);
    for (;;) {
        struct timespec time = {0, SLEEP_NS};
        uint64_t before = now_ns();
        int result = sigtimedwait(&set, NULL, &time);
        bool is_right = result == -1 && errno == EAGAIN && now_ns() - before >= SLEEP_NS;
        if (!is_right && (result != -1 || !is_excused(board)))
            workload_report(board, WRONG_SIGTIMEDWAIT, (unsigned long)errno);
        pthread_sigmask(SIG_BLOCK, NULL, &mask);
        if (sigismember(&mask, SIGRTMIN + 3) != 1 || sigismember(&mask, SIGRTMIN + 4) != 0 ||
            sigismember(&mask, SIGTERM) != 0)
            workload_report(board, WRONG_MASK, 0);
        workload_count_round(board);
    }
}

void *check_recv(void *argument) {
    child_board *board = argument;
    int ends[2];
    struct timeval time = {0, SLEEP_NS / 1000};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 ||
        setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) != 0)
        abort();
    workload_begin(board);
    for (;;) {
        char byte;
        long got = recv(ends[0], &byte, 1, 0);
        if (got != -1 || (errno != EAGAIN && !is_excused(board)))
            workload_report(board, WRONG_RECV, (unsigned long)errno);
        workload_count_round(board);
    }
}

void *check_wait(void *argument) {
    child_board *board = argument;
    stack_t wanted = {.ss_sp = malloc(65536), .ss_size = 65536}, seen;
    sigaltstack(&wanted, NULL);
    workload_begin(board);
    for (;;) {
        pid_t pid = fork();
        if (pid == 0) {
            sleep_ms(3);
            _exit(7);
        }
        int status = 0;
        pid_t got = waitpid(-1, &status, 0);
        if (got != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
            workload_report(board, WRONG_WAIT, got < 0 ? (unsigned long)errno : (unsigned long)got);
        if (sigaltstack(NULL, &seen) != 0 || seen.ss_sp != wanted.ss_sp ||
            seen.ss_size != wanted.ss_size || seen.ss_flags != 0)
            workload_report(board, WRONG_STACK, 0);
        workload_count_round(board);
    }
}

void *check_pause(void *argument) {
    child_board *board = argument;
    workload_begin(board);
    pause();
    workload_report(board, WRONG_MASK, (unsigned long)errno);
    return NULL;
}
