#include "target_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t target_data[512] = {1};
unsigned char target_bss[64 * 1024];
#define FIVE "relocated", "relocated", "relocated", "relocated", "relocated"
#define TWENTY_FIVE FIVE, FIVE, FIVE, FIVE, FIVE
#define HUNDRED_25 TWENTY_FIVE, TWENTY_FIVE, TWENTY_FIVE, TWENTY_FIVE, TWENTY_FIVE
const char *const target_relro[625] = {HUNDRED_25, HUNDRED_25, HUNDRED_25, HUNDRED_25, HUNDRED_25};
char target_greeting[] = "hello from .data";
target_node *target_list;

static target_node *make_node(const char *name, int64_t number, target_node *next) {
    target_node *node = malloc(sizeof *node);
    if (node == NULL)
        abort();
    *node = (target_node){strdup(name), number, next};
    return node;
}

void target_make_list(void) {
    target_list = make_node("third", 3, NULL);
    target_list = make_node("second", -2, target_list);
    target_list = make_node("first", 1, target_list);
}

static __attribute__((noinline)) long wait_for_end(volatile char *local) {
    char byte;
    return read(STDIN_FILENO, &byte, 1) + local[0];
}

void target_wait(void) {
    char local[] = "on the stack";
    volatile char *seen = local;
    if (wait_for_end(seen) < 0)
        puts("nothing to read");
}
