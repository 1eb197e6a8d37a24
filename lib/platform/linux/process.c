/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "platform/linux/capture/refusal.h"
#include "platform/linux/living.h"
#include "platform/linux/status.h"

enum { MOST_MISLED = 8 };

const char pi_zombie_reason[] = "The process has ended and waits for its parent to take notice (a "
                                "zombie): it has no memory and "
                                "no program any more.";

static int32_t not_running(int32_t pid, int os_errno, procinspect_error *error) {
    return pi_error_set(error, PROCINSPECT_ERROR_NOT_FOUND, os_errno,
                        "Process with an Id of %d is not running.", (int)pid);
}

/* The thread group that `path` belongs to, itself for a process; 0 where its status can't tell. */
static int32_t thread_group_of(int directory, const char *path) {
    char text[4096];
    ssize_t length = pi_proc_read_once(directory, path, text, sizeof text);
    if (length < 0)
        return 0;
    pi_status status;
    pi_status_parse(text, (size_t)length, &status);
    return (status.known & PI_STATUS_TGID) != 0 ? status.thread_group_id : 0;
}

/* The number leads elsewhere by now, or nowhere: the held directory no longer answers. */
static int32_t ended(const pi_process *process, procinspect_error *error) {
    char path[32];
    snprintf(path, sizeof path, "%d/status", (int)process->pid);
    if (thread_group_of(process->system->proc, path) == process->pid)
        return pi_error_set(
            error, PROCINSPECT_ERROR_REPLACED, ESRCH,
            "The process that had the Id %d has ended, and another process has that Id "
            "now; list the processes again.",
            (int)process->pid);
    return pi_error_set(error, PROCINSPECT_ERROR_GONE, ESRCH,
                        "The process with the Id %d has ended; list the processes again.",
                        (int)process->pid);
}

static bool still_answers(const pi_process *process) {
    return faccessat(process->directory, "stat", F_OK, 0) == 0;
}

int32_t pi_process_failed(const pi_process *process, const char *file, int os_errno,
                          procinspect_error *error) {
    int32_t code = pi_error_code_of_errno(os_errno);
    if ((os_errno == ESRCH || os_errno == ENOENT) && !still_answers(process))
        return ended(process, error);
    switch (code) {
    case PROCINSPECT_ERROR_NO_MEMORY:
        return pi_error_no_memory(error);
    case PROCINSPECT_ERROR_PERMISSION:
        return pi_read_refused(process->system, process->directory, "", process->pid, file,
                               os_errno, error);
    case PROCINSPECT_ERROR_NO_RESOURCES:
        return pi_error_set(
            error, code, os_errno,
            "Reading %s of process %d failed: %s. Close descriptors or raise the host's limit.",
            file, (int)process->pid, strerrordesc_np(os_errno));
    default: /* it lives, and this file or this thread of it is not there */
        if (code == PROCINSPECT_ERROR_GONE)
            code = PROCINSPECT_ERROR_NOT_FOUND;
        return pi_error_set(
            error, code, os_errno, "Reading %s of process %d failed: %s.", file, (int)process->pid,
            os_errno == EBADMSG ? "it has an unknown format" : strerrordesc_np(os_errno));
    }
}

int32_t pi_process_stat(const pi_process *process, pi_stat_text *text, pi_stat *stat,
                        procinspect_error *error) {
    int result = pi_stat_read(process->directory, "stat", text, stat);
    if (result == -ESRCH || result == -ENOENT)
        return ended(process, error);
    if (result != 0)
        return pi_process_failed(process, "stat", -result, error);
    /* The kernel's directory can't change owners; a recorded tree's can. */
    if (stat->start_ticks != process->start_ticks)
        return ended(process, error);
    return PROCINSPECT_OK;
}

int32_t pi_process_check(const pi_process *process, procinspect_error *error) {
    pi_stat_text text;
    pi_stat stat;
    return pi_process_stat(process, &text, &stat, error);
}

int32_t pi_process_check_memory(const pi_process *process, procinspect_error *error) {
    pi_stat_text text;
    pi_stat stat;
    int32_t code = pi_process_stat(process, &text, &stat, error);
    if (code == PROCINSPECT_OK &&
        (pi_stat_is_ending(&stat) ||
         (pi_stat_has_lost_main_thread(&stat) && !pi_living_has_any(process))))
        return pi_error_set(error, PROCINSPECT_ERROR_GONE, ESRCH,
                            "The process with the Id %d is ending, and its memory has gone "
                            "already; list the processes again.",
                            (int)process->pid);
    return code;
}

static int32_t hidden(const pi_process *process, int os_errno, procinspect_error *error) {
    return pi_error_set(
        error, PROCINSPECT_ERROR_PERMISSION, os_errno,
        "The kernel hides process %d from this user: /proc is mounted with hidepid. Run as that "
        "process's user or as root, or add this user to the mount's gid= group.",
        (int)process->pid);
}

/* hidepid=2 answers as if there were no such process; the number itself is no secret. */
static bool exists(const pi_process *process) {
    return process->system->is_live && (kill(process->pid, 0) == 0 || errno == EPERM);
}

static int32_t open_directory(pi_process *process, procinspect_error *error) {
    char path[16];
    snprintf(path, sizeof path, "%d", (int)process->pid);
    do
        process->directory =
            openat(process->system->proc, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    while (process->directory < 0 && errno == EINTR);
    if (process->directory >= 0)
        return PROCINSPECT_OK;
    int os_errno = errno;
    int32_t code = pi_error_code_of_errno(os_errno);
    switch (code) {
    case PROCINSPECT_ERROR_NOT_FOUND:
    case PROCINSPECT_ERROR_GONE:
        return exists(process) ? hidden(process, os_errno, error)
                               : not_running(process->pid, os_errno, error);
    case PROCINSPECT_ERROR_PERMISSION:
        return hidden(process, os_errno, error);
    case PROCINSPECT_ERROR_NO_MEMORY:
        return pi_error_no_memory(error);
    case PROCINSPECT_ERROR_NO_RESOURCES:
        return pi_error_set(error, code, os_errno,
                            "Opening the directory of process %d failed: %s. Close descriptors or "
                            "raise the host's limit.",
                            (int)process->pid, strerrordesc_np(os_errno));
    default:
        return pi_error_set(error, code, os_errno,
                            "Opening the directory of process %d failed: %s.", (int)process->pid,
                            strerrordesc_np(os_errno));
    }
}

/* Without one (an old kernel, a seccomp filter) the directory alone still tells the process from
 * others. */
static int32_t open_pidfd(pi_process *process, procinspect_error *error) {
    if (!process->system->is_live)
        return PROCINSPECT_OK;
    process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    if (process->pidfd >= 0)
        return PROCINSPECT_OK;
    int os_errno = errno;
    int32_t code = pi_error_code_of_errno(os_errno);
    if (code == PROCINSPECT_ERROR_NO_MEMORY || code == PROCINSPECT_ERROR_NO_RESOURCES)
        return pi_error_set(
            error, code, os_errno,
            "Opening a pidfd of process %d failed: %s. Close descriptors or raise the "
            "host's limit.",
            (int)process->pid, strerrordesc_np(os_errno));
    return PROCINSPECT_OK;
}

/* A directory that is looked up while another thread of its process takes the first one's place
 * (execve) may be of the one that goes, though the process is there as ever. */
static bool is_of_replaced_thread(const pi_process *process, int stat_result, const pi_stat *stat) {
    return (stat_result == -ESRCH || (stat_result == 0 && stat->state == 'X')) &&
           process->pidfd >= 0 &&
           (syscall(SYS_pidfd_send_signal, process->pidfd, 0, NULL, 0) == 0 || errno == EPERM);
}

/* What is read through the directory after the pidfd was opened shows that both are the same
 * process's. */
static int32_t identify(pi_process *process, procinspect_error *error) {
    pi_stat_text text;
    pi_stat stat;
    int result = pi_stat_read(process->directory, "stat", &text, &stat);
    for (int misled = 0; misled < MOST_MISLED && is_of_replaced_thread(process, result, &stat);
         misled++) {
        pi_close(process->directory);
        int32_t code = open_directory(process, error);
        if (code != PROCINSPECT_OK)
            return code;
        result = pi_stat_read(process->directory, "stat", &text, &stat);
    }
    if (result == -ESRCH || result == -ENOENT)
        return not_running(process->pid, -result, error);
    if (result != 0)
        return pi_process_failed(process, "stat", -result, error);
    process->start_ticks = stat.start_ticks;
    /* A thread has a directory too, which no listing shows. */
    int32_t group = thread_group_of(process->directory, "status");
    if (group != 0 && group != process->pid)
        return pi_error_set(
            error, PROCINSPECT_ERROR_NOT_FOUND, 0,
            "Process with an Id of %d is not running: that is a thread of process %d.",
            (int)process->pid, (int)group);
    return PROCINSPECT_OK;
}

int32_t pi_process_open(const pi_system *system, int32_t pid, pi_process **process,
                        procinspect_error *error) {
    if (pid <= 0)
        return not_running(pid, 0, error);
    pi_process *opened = malloc(sizeof *opened);
    if (opened == NULL)
        return pi_error_no_memory(error);
    *opened = (pi_process){.system = system, .pid = pid, .directory = -1, .pidfd = -1};
    int32_t result = open_directory(opened, error);
    if (result == PROCINSPECT_OK)
        result = open_pidfd(opened, error);
    if (result == PROCINSPECT_OK)
        result = identify(opened, error);
    if (result != PROCINSPECT_OK) {
        pi_process_close(opened);
        return result;
    }
    *process = opened;
    return PROCINSPECT_OK;
}

void pi_process_close(pi_process *process) {
    if (process == NULL)
        return;
    pi_close(process->pidfd);
    pi_close(process->directory);
    free(process);
}

int32_t pi_process_pid(const pi_process *process) {
    return process->pid;
}

int32_t pi_process_user_id(const pi_process *process, uint32_t *user_id, procinspect_error *error) {
    struct stat status;
    if (fstat(process->directory, &status) != 0)
        return pi_process_failed(process, "", errno, error);
    /* The directory of a process that has ended says root. */
    if (!still_answers(process))
        return pi_process_failed(process, "stat", errno, error);
    *user_id = status.st_uid;
    return PROCINSPECT_OK;
}
