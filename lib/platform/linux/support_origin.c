/* SPDX-License-Identifier: MIT */
#include "platform/linux/support_origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/error.h"
#include "platform/linux/capture/refusal.h"
#include "platform/linux/linux.h"

static bool is_in_our_mount_namespace(const pi_process *process) {
    struct stat ours, its;
    return stat("/proc/thread-self/ns/mnt", &ours) == 0 &&
           fstatat(process->directory, "ns/mnt", &its, 0) == 0 && ours.st_dev == its.st_dev &&
           ours.st_ino == its.st_ino;
}

/* Neither root nor with any of root's rights: those of another user namespace count, too. */
static bool is_unprivileged(const pi_process *process) {
    pi_refusal_facts facts = {.target_capabilities = UINT64_MAX};
    if (!pi_refusal_read_target(process->directory, "status", &facts))
        return false;
    for (int i = 0; i < 3; i++)
        if (facts.target_user_ids[i] == 0)
            return false;
    return facts.target_capabilities == 0;
}

static int open_root(pi_support_origin *origin, const pi_process *process) {
    int result = pi_file_systems_read(&origin->systems, process->directory);
    if (result == 0 && origin->systems.may_open_root)
        origin->root = openat(process->directory, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return result == -ENOMEM ? result : 0;
}

int32_t pi_support_origin_open(const pi_process *process, pi_support_origin **origin,
                               procinspect_error *error) {
    pi_support_origin *made = calloc(1, sizeof *made);
    if (made == NULL)
        return pi_error_no_memory(error);
    made->root = -1;
    made->is_elsewhere = !is_in_our_mount_namespace(process);
    made->is_host_safe = !made->is_elsewhere || is_unprivileged(process);
    if (made->is_elsewhere && open_root(made, process) != 0) {
        pi_support_origin_close(made);
        return pi_error_no_memory(error);
    }
    *origin = made;
    return PROCINSPECT_OK;
}

void pi_support_origin_close(pi_support_origin *origin) {
    if (origin == NULL)
        return;
    pi_close(origin->root);
    pi_file_systems_free(&origin->systems);
    free(origin);
}
