/* SPDX-License-Identifier: MIT */
#include "platform/capture/interrupted_child.h"

#include <signal.h>
#include <unistd.h>

#include "platform/capture/child.h"

static child_board *handler_board;

unsigned char interrupted_byte(size_t place) {
    return (unsigned char)(place * 7 + place / 256);
}

static void wait_in_handler(int number) {
    (void)number;
    atomic_store(&handler_board->ready, 1);
    for (;;)
        pause();
}

void *interrupted_thread(void *argument) {
    static unsigned char alternate[ALTERNATE_STACK_BYTES];
    volatile unsigned char pattern[INTERRUPTED_BYTES];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    struct sigaction action = {.sa_handler = wait_in_handler, .sa_flags = SA_ONSTACK};
    handler_board = argument;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = interrupted_byte(i);
    atomic_store(&handler_board->tids[0], (int)gettid());
    atomic_store(&handler_board->words[0], (uint64_t)(uintptr_t)pattern);
    atomic_store(&handler_board->words[1], (uint64_t)(uintptr_t)alternate);
    sigaltstack(&stack, NULL);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    return (void *)(uintptr_t)pattern[0];
}
