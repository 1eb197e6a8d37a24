/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_ENVIRONMENTS_H
#define TESTS_BENCH_ENVIRONMENTS_H

#include <stdint.h>

/* Environments for processes that are forks of one program, and yet no two of them alike. */

/* Begins the program anew with an environment such as a service in a container has, 37 variables in
 * nearly 2 KiB; returns in the program that was begun. */
void environments_begin(char **arguments);

/* Fills the variable parts of this process's own environment, one name among them, in place: the
 * children that it forks then have it, until the next call. */
void environments_make(uint64_t number);

#endif
