/* SPDX-License-Identifier: MIT */
#ifndef TESTS_HTTP_PROC_TREE_H
#define TESTS_HTTP_PROC_TREE_H

/*
 * A small recorded /proc with processes whose every number is known, made in a new directory:
 *
 *   4242 "worker", threads 4242 (S) and 4243 (R), child of 17, with an environment
 *   17   "Anvil"
 *   18   "b) R 1 (b\n", a name made to mislead
 */
char *make_proc_tree(void); /* its path, to be given to remove_proc_tree */
void remove_proc_tree(char *path);

#endif
