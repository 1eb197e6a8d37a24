/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_PROGRAM_START_H
#define PI_PLATFORM_LINUX_PROGRAM_START_H

#include <stdbool.h>
#include <stdint.h>

#include "base/io.h"

/*
 * Reads cmdline or environ, at `path`, of a process that lives and whose file was empty. In the
 * middle of execve it is: the new memory is there, and arguments and environment aren't in it yet.
 * That is waited for, some milliseconds: 0, and what the file holds then, nothing where the process
 * has none; -EBUSY where it is at it still; or another negative errno. `stat_path` is that of the
 * file stat beside it.
 */
int pi_program_file_read(int directory, const char *stat_path, const char *path, size_t limit,
                         pi_buffer *buffer);

/*
 * The parts of it, for who reads another file that the new program has yet to fill: how far execve
 * has come, by the file stat; that one program ran from a look before the reading to one behind it,
 * so that what was empty is so; the pause between two rounds; and how many there are, 20 ms in all,
 * though pages of the program may be read.
 */
typedef struct pi_program_look {
    bool is_starting;
    uint64_t start_stack; /* 0 where the kernel doesn't tell this user */
} pi_program_look;
pi_program_look pi_program_look_at(int directory, const char *stat_path);
bool pi_program_stood(pi_program_look before, pi_program_look after);
void pi_program_start_pause(void);
enum { PI_PROGRAM_START_LOOKS = 20 };

/* What -EBUSY means, and what to do about it. */
extern const char pi_starting_reason[];

/* Of a text of stat: does the process have no arguments and environment yet? False, too, where the
 * kernel doesn't tell this user. */
bool pi_stat_is_starting_program(const char *bytes, size_t length);

#endif
