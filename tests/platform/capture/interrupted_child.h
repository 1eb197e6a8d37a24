/* A thread that a signal has interrupted, whose handler runs on another stack. */
#ifndef TESTS_PLATFORM_CAPTURE_INTERRUPTED_CHILD_H
#define TESTS_PLATFORM_CAPTURE_INTERRUPTED_CHILD_H

#include <stddef.h>

enum { INTERRUPTED_BYTES = 4096, ALTERNATE_STACK_BYTES = 64 * 1024 };

/* What stands at this place of the interrupted stack's pattern. */
unsigned char interrupted_byte(size_t place);

/* For pthread_create; the argument is the child_board. words[0] is where INTERRUPTED_BYTES of the
 * pattern are, words[1] the alternate stack, tids[0] the thread. Sets board->ready in the handler,
 * which doesn't return. One in a process. */
void *interrupted_thread(void *board);

#endif
