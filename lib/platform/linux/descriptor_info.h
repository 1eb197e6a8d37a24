/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_DESCRIPTOR_INFO_H
#define PI_PLATFORM_LINUX_DESCRIPTOR_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The flags that a descriptor was opened with (O_…), from the text of its fdinfo, which may be cut
 * behind them. False where there is no such line; *flags is untouched then. */
bool pi_descriptor_flags(const char *text, size_t length, uint64_t *flags);

#endif
