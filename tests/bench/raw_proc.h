/* SPDX-License-Identifier: MIT */
#ifndef TESTS_BENCH_RAW_PROC_H
#define TESTS_BENCH_RAW_PROC_H

#include <stdbool.h>
#include <stddef.h>

/* The floor: what the kernel takes to hand the same bytes out, to somebody who doesn't look at
 * them. Returns the number of entries. */

/* getdents of `directory`; for each number in it open, read and close of NUMBER/stat. */
size_t raw_read_stats(const char *directory);

/* The same, and of each: open, read and close of cmdline and environ, readlink of exe. */
size_t raw_read_files(const char *directory);

#endif
