/* Programs that a system test starts and talks to, and what it looks up about them. */
#ifndef TESTS_SYSTEM_TARGET_H
#define TESTS_SYSTEM_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <procinspect.h>

#include "folders.h"

typedef struct target {
    pid_t pid;
    int input;  /* the target's standard input, -1 once closed */
    int output; /* its standard output */
} target;

/* Starts a program; its first line must be `ready PID`, which is waited for. Fails the test
 * otherwise. */
target target_start(const char *const *argv);
/* Reads one line without its newline; fails the test after timeout_ms or at the end of the output.
 */
void target_read_line(const target *t, char *line, size_t size, int timeout_ms);
void target_send(const target *t, const char *text);
/* Closes its input, waits for its end (by pid; kills it after timeout_ms); the status of waitpid.
 */
int target_end(target *t, int timeout_ms);

/* The letter of a thread's state in /proc/PID/task/TID/stat, '?' where it cannot be read. */
char thread_state(pid_t pid, pid_t tid);
/* The number of entries of a folder such as /proc/self/fd. */
size_t count_entries(const char *path);
bool wait_for_state(pid_t pid, char state, int timeout_ms);

/* A context that may dump, and a handle; fails the test where there is none. */
procinspect_context *open_context(void);
procinspect_process *open_process(const procinspect_context *context, pid_t pid);
/* Captures and fails the test with the error's message where that fails. Skips it where the
 * kernel's settings do not let this user trace (Yama). */
procinspect_dump *capture(const procinspect_process *process);
/* The same with a dump type and a way. */
procinspect_dump *capture_as(const procinspect_process *process, uint32_t type, uint32_t way);
/* Writes the dump to a file, through a stream. */
void save_dump(procinspect_dump *dump, const char *path);

/* For pthread_create; the argument is what to kill when, and outlives the thread. */
typedef struct kill_later {
    pid_t pid;
    unsigned delay_us;
} kill_later;
void *kill_it(void *argument);

#endif
