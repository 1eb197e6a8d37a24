/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "platform/linux/auxv.h"
#include "platform/linux/capture/parts.h"
#include "platform/linux/capture/refusal.h"
#include "platform/linux/living.h"
#include "platform/linux/status.h"

int32_t pi_capture_check_zombie(const pi_process *process, procinspect_error *error) {
    pi_stat_text text;
    pi_stat stat;
    int32_t code = pi_process_stat(process, &text, &stat, error);
    /* A main thread can end before the others: the process lives on then. One that another thread
     * replaces in execve looks dead, too, and has none for a moment. */
    if (code != PROCINSPECT_OK || !pi_stat_is_dead(&stat) || stat.thread_count != 1)
        return code;
    return pi_error_set(error, PROCINSPECT_ERROR_NOT_FOUND, 0,
                        "Process %d has ended and is a zombie: nothing is left to dump. Its "
                        "parent, %d, has yet to wait for it.",
                        (int)process->pid, (int)stat.parent_pid);
}

static int32_t check_kind(const pi_process *process, procinspect_error *error) {
    pi_stat_text text;
    pi_stat stat;
    int32_t code = pi_process_stat(process, &text, &stat, error);
    if (code != PROCINSPECT_OK)
        return code;
    if (stat.is_kernel_thread)
        return pi_error_set(error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
                            "%d is a thread of the kernel: it has no memory of its own to dump.",
                            (int)process->pid);
    /* Between two owners of its number, in execve, or between zombie and nothing. */
    if (stat.thread_count == 0)
        return pi_process_failed(process, "stat", ESRCH, error);
    return PROCINSPECT_OK;
}

static int32_t check_tracer(const pi_process *process, int32_t *own_helper,
                            procinspect_error *error) {
    char text[4096];
    ssize_t length = pi_proc_read_once(process->directory, "status", text, sizeof text);
    if (length < 0)
        return pi_process_failed(process, "status", errno, error);
    pi_status status;
    pi_status_parse(text, (size_t)length, &status);
    if ((status.known & PI_STATUS_TRACER) != 0 && status.tracer_pid != 0)
        return pi_capture_traced(process, status.tracer_pid, own_helper, error);
    return PROCINSPECT_OK;
}

/* From what the kernel told the program at its start: the program's file may be on a file system
 * that doesn't answer. */
int32_t pi_capture_check_architecture(const pi_process *process, const pi_process *files,
                                      int32_t tid, procinspect_error *error) {
    enum { LARGEST_AUXV = 4096 };
    char bytes[LARGEST_AUXV];
    ssize_t length = pi_proc_read_once(files->directory, "auxv", bytes, sizeof bytes);
    if (length < 0 && (errno == EACCES || errno == EPERM))
        return pi_capture_refused(process, tid, errno, NULL, error);
    if (length < 0)
        return pi_process_failed(process, "auxv", errno, error);
    uint64_t header_size = pi_auxv_parse(bytes, (size_t)length).program_header_size;
    if (header_size != 0 && header_size != sizeof(Elf64_Phdr))
        return pi_error_set(
            error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
            "Process %d runs a program of another architecture than x86-64 (its program headers "
            "have %d bytes, as those of 32-bit programs); this build takes dumps of 64-bit x86-64 "
            "programs only.",
            (int)process->pid, (int)header_size);
    return PROCINSPECT_OK;
}

int32_t pi_capture_check_target(const pi_process *process, int32_t *own_helper,
                                procinspect_error *error) {
    int32_t code = check_kind(process, error);
    if (code == PROCINSPECT_OK)
        code = check_tracer(process, own_helper, error);
    return code;
}
