/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_FILE_IDENTITY_H
#define PI_PLATFORM_LINUX_FILE_IDENTITY_H

#include <sys/stat.h>

#include "platform/linux/maps.h"

/*
 * Is this regular file the one behind the mapping? overlayfs and btrfs name other devices in maps
 * than stat does; there `descriptor` is mapped here for a moment, unread, to see what maps says of
 * it. So it has to be open for reading, not O_PATH.
 * pi_file_is_mapping answers 1 or 0, or a negative errno where that took more descriptors or memory
 * than there are.
 */
bool pi_file_may_be_mapping(const struct stat *status, const pi_mapping *mapping);
int pi_file_is_mapping(int descriptor, const struct stat *status, const pi_mapping *mapping);

#endif
