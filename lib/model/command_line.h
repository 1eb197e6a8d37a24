/* SPDX-License-Identifier: MIT */
#ifndef PI_MODEL_COMMAND_LINE_H
#define PI_MODEL_COMMAND_LINE_H

#include "base/arena.h"
#include "model/snapshot.h"

/* A command line is a process's arguments, each with a NUL behind it. */

/*
 * The arguments joined by single spaces, as NUL-terminated UTF-8; NULs at the end, which programs
 * leave there that overwrite their arguments with a title, are none. Overwrites the bytes. NULL:
 * the arena is exhausted.
 */
char *pi_command_line_join(pi_arena *arena, char *bytes, size_t length);

/*
 * The name of a process, which the system may have cut: the last component of argv[0] where that
 * starts with it and is no longer than a file's name, 255 bytes, else the name as it is. Points
 * into what was given.
 */
pi_bytes pi_process_name_complete(pi_bytes name, pi_bytes command_line);

#endif
