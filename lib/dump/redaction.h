/* SPDX-License-Identifier: MIT */
#ifndef PI_DUMP_REDACTION_H
#define PI_DUMP_REDACTION_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Takes values of environment variables out of a file, wherever they stand in it: each of their
 * bytes becomes PI_REDACTION_MASK. Two things are looked for:
 *
 * - the name: behind NUL, NAME and '=' all is masked up to the next NUL, PI_REDACTION_REACH bytes
 * at most. So values are found, too, that the process has given the variable since.
 * - the value, where it has PI_REDACTION_LEAST_VALUE bytes or more, whatever stands before it.
 *   Shorter ones would be found everywhere.
 *
 * Which bytes are masked depends on the file alone, and not on how it is read: of a byte's
 * surroundings the PI_REDACTION_MARGIN bytes on each side decide.
 *
 * The values may be hostile, and so may the file: looking at a byte takes a bounded number of
 * steps.
 */
typedef struct pi_redaction pi_redaction;

enum {
    PI_REDACTION_MASK = '*',
    PI_REDACTION_LEAST_VALUE = 8,
    PI_REDACTION_LONGEST_NAME = 255, /* of longer ones only the values are looked for */
    PI_REDACTION_REACH = 4096,
    PI_REDACTION_MARGIN = PI_REDACTION_REACH + PI_REDACTION_LONGEST_NAME + 2
};

/* NULL: out of memory. */
pi_redaction *pi_redaction_new(void);

/* Both are copied. A NULL value: only the name is known. False: out of memory. */
bool pi_redaction_add(pi_redaction *redaction, const char *name, size_t name_length,
                      const char *value, size_t value_length);

/*
 * Masks what is to be masked of `part`, a copy of the bytes window[begin], …: the window has
 * PI_REDACTION_MARGIN bytes more of the file on each side, as far as the file goes. Safe from
 * several threads at a time once nothing is added any more.
 */
void pi_redaction_apply(const pi_redaction *redaction, const unsigned char *window,
                        size_t window_length, size_t begin, unsigned char *part,
                        size_t part_length);

/* NULL does nothing. */
void pi_redaction_free(pi_redaction *redaction);

#endif
