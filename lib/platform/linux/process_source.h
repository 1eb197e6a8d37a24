/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_PROCESS_SOURCE_H
#define PI_PLATFORM_LINUX_PROCESS_SOURCE_H

#include "platform/linux/process_reading.h"

/*
 * What a process's members are read from, one function for each file: fills reading->info with
 * these of its members and makes them known, or notes why they aren't. 0; PI_READING_AGAIN,
 * PI_READING_TOO_LONG, PI_PROCESS_ENDED; or the negative code of what ends the whole call.
 */

/* stat, and the name in full; the owner of the directory. */
int32_t pi_source_stat(pi_process_reading *reading, uint64_t members);
int32_t pi_source_owner(pi_process_reading *reading, uint64_t members);

/* cmdline, exe and environ. */
int32_t pi_source_command_line(pi_process_reading *reading, uint64_t members);
int32_t pi_source_executable(pi_process_reading *reading, uint64_t members);
int32_t pi_source_environment(pi_process_reading *reading, uint64_t members);

/* status, and the entries of fd. */
int32_t pi_source_status(pi_process_reading *reading, uint64_t members);
int32_t pi_source_open_file_count(pi_process_reading *reading, uint64_t members);

/* The file cmdline into the reader's buffer. 0 or a negative errno. */
int pi_source_command_line_bytes(pi_process_reading *reading);

#endif
