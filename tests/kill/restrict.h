/* What Yama, a container or an older kernel withhold, taken from a thread by a seccomp filter. */
#ifndef TESTS_KILL_RESTRICT_H
#define TESTS_KILL_RESTRICT_H

#include <stdbool.h>

/*
 * From now on ptrace answers EPERM to this thread and to all that it starts, a helper process
 * included, as it does under Yama's ptrace_scope; with `no_events` the kernel's process events
 * can't be had either. False where there are no such filters.
 */
bool restrict_thread(bool no_events);

/* Takes the events alone, as a container does. */
bool restrict_events(void);

#endif
