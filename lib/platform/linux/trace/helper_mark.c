/* SPDX-License-Identifier: MIT */
#include "platform/linux/trace/helper_mark.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/statfs.h>
#include <time.h>

#include "base/cancellation.h"
#include "base/error.h"
#include "base/io.h"
#include "platform/linux/linux.h"
#include "platform/linux/trace/claim.h"

enum { STEP_NS = 1000000, MAX_DESCRIPTORS = 1 << 24 };

/* Who reads a file of /proc doesn't append to it, nor asks to be sent signals for it: all marks
 * have these two. The others tell one from another. */
enum {
    ANY_MARK = O_APPEND | O_ASYNC,
    MARK_FLAGS = O_ACCMODE | ANY_MARK | O_NONBLOCK | O_NOFOLLOW | O_SYNC
};

static const int marks[] = {
    ANY_MARK,
    ANY_MARK | O_NONBLOCK,
    ANY_MARK | O_NOFOLLOW,
    ANY_MARK | O_NOFOLLOW | O_NONBLOCK,
    ANY_MARK | O_DSYNC,
    ANY_MARK | O_DSYNC | O_NONBLOCK,
    ANY_MARK | O_DSYNC | O_NOFOLLOW,
    ANY_MARK | O_DSYNC | O_NOFOLLOW | O_NONBLOCK,
    ANY_MARK | O_SYNC,
    ANY_MARK | O_SYNC | O_NONBLOCK,
    ANY_MARK | O_SYNC | O_NOFOLLOW,
    ANY_MARK | O_SYNC | O_NOFOLLOW | O_NONBLOCK,
};

enum { MARK_COUNT = sizeof marks / sizeof marks[0] };

static pi_claim claims[MARK_COUNT]; /* of the marks */

static bool take_free(int *mark) {
    for (size_t i = 0; i < MARK_COUNT; i++)
        if (pi_claim_try(&claims[i])) {
            *mark = marks[i];
            return true;
        }
    return false;
}

int32_t pi_helper_mark_take(const procinspect_cancellation *cancellation, int *mark,
                            procinspect_error *error) {
    while (!take_free(mark)) {
        if (pi_cancellation_is_requested(cancellation))
            return pi_error_cancelled(error);
        struct timespec step = {0, STEP_NS};
        nanosleep(&step, NULL);
    }
    return PROCINSPECT_OK;
}

void pi_helper_mark_give_back(int mark) {
    for (size_t i = 0; i < MARK_COUNT; i++)
        if (marks[i] == mark)
            pi_claim_end(&claims[i]);
}

static bool has_mark(int descriptor, int mark) {
    struct statfs file_system;
    int flags = fcntl(descriptor, F_GETFL);
    return flags >= 0 && (flags & MARK_FLAGS) == mark && fstatfs(descriptor, &file_system) == 0 &&
           file_system.f_type == PROC_SUPER_MAGIC;
}

void pi_helper_mark_close_all(int mark, int proc) {
    pi_numbers open;
    if (pi_proc_read_numbers(proc, "thread-self/fd", MAX_DESCRIPTORS, &open) != 0)
        return;
    for (size_t i = 0; i < open.count; i++)
        if (has_mark(open.items[i], mark))
            pi_close(open.items[i]);
    free(open.items);
}
