/* What debuggers are to find by name in a dump of the target `memory`. */
#ifndef TESTS_TARGETS_TARGET_MEMORY_H
#define TESTS_TARGETS_TARGET_MEMORY_H

#include <stdint.h>

typedef struct target_node {
    const char *name; /* on the heap */
    int64_t number;
    struct target_node *next;
} target_node;

extern uint64_t target_data[512];
extern unsigned char target_bss[64 * 1024];
extern const char *const target_relro[625];
extern char target_greeting[];
extern target_node *target_list;

/* target_list: "first" 1, "second" -2, "third" 3. */
void target_make_list(void);

/* Until standard input ends, with the string "on the stack" in the caller's frame. */
void target_wait(void);

#endif
