/* Threads of targets that notice when anything of theirs isn't as they left it. */
#ifndef TESTS_PLATFORM_CAPTURE_FORK_WORKLOAD_H
#define TESTS_PLATFORM_CAPTURE_FORK_WORKLOAD_H

#include "platform/capture/child.h"

/* Places in board->words. */
enum {
    WORD_ROUNDS, /* of all checks */
    WORD_ERRORS,
    WORD_FIRST_ERROR, /* which check it was, and what it saw */
    WORD_SIGNALS,     /* SIGCHLDs that came */
    WORD_READY,       /* threads that have begun */
    /* Set: calls that answer EINTR to any stop may do so, and how often they did. A tracer that is
     * killed before it has looked at them can't repair them. */
    WORD_MAY_BE_INTERRUPTED,
    WORD_INTERRUPTED
};

/* What is wrong, in WORD_FIRST_ERROR's low byte. */
enum {
    WRONG_VECTORS = 1,
    WRONG_GENERAL,
    WRONG_RED_ZONE,
    WRONG_TILES,
    WRONG_NANOSLEEP,
    WRONG_FUTEX,
    WRONG_READ,
    WRONG_EPOLL,
    WRONG_POLL,
    WRONG_SIGTIMEDWAIT,
    WRONG_RECV,
    WRONG_SELECT,
    WRONG_CLOCK_NANOSLEEP,
    WRONG_WAIT,
    WRONG_MASK,
    WRONG_STACK,
    WRONG_COUNT
};

/* Each runs in a thread; the argument is the board. */
typedef void *(*workload)(void *board);

void *check_registers(void *board); /* in user code all the time */
void *check_tiles(void *board);     /* likewise, with AMX where there is such */
/* Likewise, mostly in restartable sequences; so many threads have to run it. */
enum { SEQUENCE_CHECKERS = 3 };
void *check_sequences(void *board);
void *check_nanosleep(void *board);
void *check_clock_nanosleep(void *board);
void *check_futex(void *board);
void *check_read(void *board);
void *check_epoll(void *board);
void *check_poll(void *board);
void *check_select(void *board);
void *check_sigtimedwait(void *board);
void *check_recv(void *board);
void *check_wait(void *board);  /* waits for a child that lives, with an alternate signal stack */
void *check_pause(void *board); /* which no signal ends */

/* Starts them, and sets board->ready when all have begun. */
void start_workloads(child_board *board, const workload *workloads, size_t count);
/* Likewise, one of each that calls, and one that runs. */
void start_every_call(child_board *board);
/* Bodies for children of which no thread waits in a call: the fork has to go through one that
 * runs. */
void registers_body(child_board *board);
void tiles_body(child_board *board);
/* Fails the test where a check has failed. */
void assert_no_errors(const child_board *board);
/* Until each workload that returns has made some rounds more. */
void wait_for_rounds(child_board *board, uint64_t rounds);

/* --- for workloads --- */

/* One has begun; is through once more; has found something wrong, and what it saw. */
void workload_begin(child_board *board);
void workload_count_round(child_board *board);
void workload_report(child_board *board, unsigned what, unsigned long seen);

#endif
