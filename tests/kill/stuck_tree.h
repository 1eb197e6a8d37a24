/* A tree of tests/targets/stuck.c, one member of which SIGKILL doesn't end. */
#ifndef TESTS_KILL_STUCK_TREE_H
#define TESTS_KILL_STUCK_TREE_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct stuck_tree {
    pid_t program;
    pid_t root;
    pid_t stuck;
    int stuck_pidfd;
    int input; /* of the program; closed, it lets go */
} stuck_tree;

/* which: "child" or "root". False, with the reason printed, where no such tree can be had here. */
bool stuck_tree_start(stuck_tree *tree, const char *which);
/* The file system goes away, and the stuck process ends; whether it did. */
bool stuck_tree_let_go(stuck_tree *tree);

#endif
