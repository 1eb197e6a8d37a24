/* SPDX-License-Identifier: MIT */
#ifndef TESTS_API_COPIED_DUMP_H
#define TESTS_API_COPIED_DUMP_H

#include <procinspect.h>

#include <sys/types.h>

/* Of this type, by copy; the caller's. Fails the test where that fails. */
procinspect_dump *copied_dump_of(pid_t pid, uint32_t type);

#endif
