/* SPDX-License-Identifier: MIT */
#ifndef PI_DUMP_READER_LIMITS_H
#define PI_DUMP_READER_LIMITS_H

#include "model/snapshot.h"

/*
 * Readers built on Breakpad refuse a list that is longer than they expect. A dump keeps all
 * threads, modules and memory nevertheless (LLDB reads any number), and its report says so. Writes
 * that sentence and returns true, or returns false where the dump is within the limits.
 */
int pi_minidump_exceeds_readers(const pi_snapshot *snapshot, char *text, size_t capacity);

#endif
