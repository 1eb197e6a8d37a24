/* SPDX-License-Identifier: MIT */
#ifndef PI_DUMP_MINIDUMP_MODULE_NAMES_H
#define PI_DUMP_MINIDUMP_MODULE_NAMES_H

#include <stdbool.h>

#include "dump/minidump/minidump.h"

/* What readers call a module: both texts in a row. */
typedef struct pi_module_name {
    pi_bytes folder; /* up to the last slash of its path */
    pi_bytes file;
    uint32_t copy; /* 0, or which further copy of this name it is, from 2 */
} pi_module_name;

/* The path; where the object has another name of its own, a SONAME, that stands behind the last
 * slash: it is what other objects and symbol files refer to. */
pi_module_name pi_module_name_of(const procinspect_module_info *info);

/*
 * LLDB knows one module of each name, and takes the lowest: where a library is there twice
 * (dlmopen, or a file that was replaced and loaded again) it would find no functions in the other.
 * So one copy keeps the name, the one that most threads and the tops of their stacks point into,
 * and the others are numbered. `ranges` are the modules', ascending. False: out of memory.
 */
bool pi_module_names_number_copies(const pi_snapshot *snapshot, const pi_memory_range *ranges,
                                   pi_module_name *names, size_t count);

/* Puts it as a string, a numbered copy as "NAME (copy 2)"; its RVA. */
uint32_t pi_module_name_put(pi_minidump *minidump, const pi_module_name *name);

#endif
