/* SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "platform/linux/capture/access.h"
#include "platform/linux/trace/helper_system_call.h"

void pi_access_run(pi_helper *helper, void *argument) {
    pi_access *access = argument;
    long file = pi_helper_open(helper, access->directory, "mem", O_RDONLY);
    access->os_errno = file < 0 ? (int)-file : 0;
    if (file >= 0)
        raw_close((int)file);
}
