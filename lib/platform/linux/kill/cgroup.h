/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_KILL_CGROUP_H
#define PI_PLATFORM_LINUX_KILL_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Of /proc/PID/cgroup, which has a line "ID:CONTROLLERS:PATH" for each hierarchy: in version 2 one,
 * "0::/system.slice/app.service"; in version 1 one for each controller and one for each name,
 * "1:name=systemd:/system.slice/app.service"; often both.
 */

/*
 * The line, without its newline, that says best which service the process belongs to: version 2's,
 * else a named hierarchy's, else a controller's. One whose path is "/" tells nothing, because
 * everybody begins there. 0, or the length.
 */
size_t pi_kill_pick_cgroup(const char *bytes, size_t length, const char **line);

/* Whether the file has just this line, among others. */
bool pi_kill_has_cgroup(const char *bytes, size_t length, const char *line, size_t line_length);

/* The path in a line that was picked. */
const char *pi_kill_cgroup_path(const char *line);

#endif
