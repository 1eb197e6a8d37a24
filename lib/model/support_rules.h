/* SPDX-License-Identifier: MIT */
#ifndef PI_MODEL_SUPPORT_RULES_H
#define PI_MODEL_SUPPORT_RULES_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Files that a debugger needs beside a dump, because they know how a runtime lays out its memory:
 * which module of a process asks for which file. The rules are a table; a line adds a runtime.
 */

typedef enum pi_support_kind {
    PI_SUPPORT_LIBRARY, /* an ELF object, which the debugger loads */
    PI_SUPPORT_SCRIPT   /* text that the debugger runs */
} pi_support_kind;

enum { PI_SUPPORT_PLACES = 2 };

typedef struct pi_support_rule {
    const char *runtime;
    const char *module; /* the pattern (fnmatch) of the module's file name */
    pi_support_kind kind;
    bool is_expected; /* it belongs to the runtime: that it isn't there is worth a word */
    /* Paths, of which the first that is there counts. "%d" at the start is the module's directory,
     * "%u" the one above it; "%p" anywhere the module's path. */
    const char *places[PI_SUPPORT_PLACES];
} pi_support_rule;

extern const pi_support_rule pi_support_rules[];
extern const size_t pi_support_rule_count;

/* Whether the rule is for the module with this path, which is absolute and as the system has it,
 * without links. */
bool pi_support_rule_applies(const pi_support_rule *rule, const char *module_path);

/* The place as a path; false where there is no such place, or no room for it. */
bool pi_support_place(const pi_support_rule *rule, size_t index, const char *module_path,
                      char *path, size_t capacity);

#endif
