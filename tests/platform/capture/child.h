/* Children to be captured, and captures of them through platform.h. */
#ifndef TESTS_PLATFORM_CAPTURE_CHILD_H
#define TESTS_PLATFORM_CAPTURE_CHILD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "platform/platform.h"

/* What a child and its test share; zeroed at the start. */
typedef struct child_board {
    atomic_int ready;  /* child_start waits for this */
    atomic_uint beats; /* a child that lives counts here */
    atomic_int tids[8];
    atomic_int pids[8];
    _Atomic uint64_t words[8];
} child_board;

typedef struct test_child {
    pid_t pid;
    child_board *board;
    pi_system *system;
    pi_process *process;
} test_child;

/* Forks a child that runs `body`, which sets board->ready and doesn't return. It ends with the
 * test. Fails the test where there is none. */
test_child child_start(void (*body)(child_board *board));
/* Kills it, waits for it, and checks that no child is left behind. */
void child_end(test_child *child);
/* Ends what a test that failed has left running, which the next one would take for its own: so does
 * child_start. */
void child_end_unfinished(void);

/* What a test asks for, unless it says otherwise: type Normal, 64 MiB, and a pause as long as a
 * machine may take that a hundred others want: what it may take is capture/test_limits.c's. */
pi_capture_request default_request(void);

/* Captures, and fails the test with the message where that fails. Skips it where Yama doesn't let
 * this user trace children of the test. */
pi_snapshot *capture_child(const test_child *child);
/* The same with a dump type of the caller's. */
pi_snapshot *capture_child_as(const test_child *child, uint32_t type);
/* Captures by the way of the request, AUTO being hold, and fails the test where that fails. */
pi_snapshot *capture_process(const pi_process *process, const pi_capture_request *request);
/* Fails the test unless the capture fails with this code and a message that holds `text`. */
void assert_capture_fails(const pi_process *process, const pi_capture_request *request,
                          int32_t code, const char *text);
void skip_unless_children_can_be_traced(void);
/* Yama's ptrace_scope, 0 where it lets this user do without; children name us as their tracer. */
int yama_restricts(void);

/* For a child: runs `body` as init of a pid namespace, whose number in the test's is pids[0]. Takes
 * root. */
void run_as_init_of_a_namespace(child_board *board, void (*body)(child_board *board));

/* In a process of its own: an ordinary user from now on. */
void become_nobody(void);
/* Runs `check` in a process of an ordinary user's; the test fails unless it returns. */
void run_as_nobody(void (*check)(const pi_process *process), const pi_process *process);
/* assert_capture_fails for processes that can't use cmocka: says what is wrong, and ends. */
void expect_capture_fails(const pi_process *process, int32_t code, const char *text);

/* Threads and bodies for children: counts in board->beats; the main thread waits beside that. */
void *beat(void *board);
void beating_body(child_board *board);

const pi_thread_snapshot *find_thread(const pi_snapshot *snapshot, int32_t tid);
/* What every snapshot promises: one by hold, or by the way that is named. */
void assert_sound_snapshot(const pi_snapshot *snapshot);
void assert_sound_snapshot_by(const pi_snapshot *snapshot, uint32_t way);
/* The child's beats go on: it runs. */
void assert_beats(const test_child *child);
/* State letter of a thread, 0 where there is none. */
char thread_state(pid_t pid, pid_t tid);
bool wait_for_thread_state(pid_t pid, pid_t tid, char state);
bool wait_until(const atomic_int *flag);
void sleep_ms(int ms);
size_t count_lines_of(const char *path);
size_t count_descriptors(void);

/*
 * What the library does while the process stands is done in time, or not at all. The time that it
 * then takes the threads to go on is the scheduler's: beyond the permitted it has to be noted.
 */
void assert_pause_as_permitted(const procinspect_dump_report *report, uint32_t max_pause_ms);

#endif
