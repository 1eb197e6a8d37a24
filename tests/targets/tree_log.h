/* What a tree writes about itself, in a file that the test maps, too. */
#ifndef TESTS_TARGETS_TREE_LOG_H
#define TESTS_TARGETS_TREE_LOG_H

#include <stdatomic.h>
#include <stdint.h>

enum { TREE_LOG_PROCESSES = 1 << 20 };

typedef struct tree_log_process {
    int32_t pid;
    int32_t parent;   /* its place in the log, -1 for the root */
    uint64_t born_ns; /* just before the fork; CLOCK_MONOTONIC */
    uint64_t end_ns;  /* just before it ended by itself; 0: it hasn't */
} tree_log_process;

typedef struct tree_log {
    atomic_int ready; /* the tree stands */
    atomic_int go;    /* set by the test: now do what you are here for */
    atomic_int stop;  /* set by the test: those left stay as they are, to be counted */
    atomic_int alive; /* processes that are there to stay */
    atomic_int count;
    atomic_int crashed; /* processes that did what no program does by itself */
    tree_log_process processes[TREE_LOG_PROCESSES];
} tree_log;

#endif
