/* SPDX-License-Identifier: MIT */
#ifndef PI_BASE_ERROR_H
#define PI_BASE_ERROR_H

#include <procinspect/error.h>

/* Fills *error (nullable) and returns code, so that a failing function ends with
 * `return pi_error_set(error, …)`. A message that is too long is cut between characters. */
__attribute__((format(printf, 4, 5))) int32_t pi_error_set(procinspect_error *error, int32_t code,
                                                           int os_errno, const char *format, ...);

/* The code that a failed system call means: ENOMEM is NO_MEMORY; EMFILE, ENFILE, EAGAIN and ENOSPC
 * are NO_RESOURCES; EPERM and EACCES are PERMISSION; ESRCH is GONE; ENOENT is NOT_FOUND; the rest
 * is IO. */
int32_t pi_error_code_of_errno(int os_errno);

int32_t pi_error_no_memory(procinspect_error *error);

#endif
