/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/refusal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cancellation.h"
#include "base/error.h"
#include "base/text.h"
#include "platform/linux/living.h"

enum {
    CAPABILITY_SYS_PTRACE = 19,
    CAPABILITY_SYS_ADMIN = 21,
    SECCOMP_FILTERED = 2,
    LARGEST_STATUS = 1024 * 1024 /* more than any has, with 65,536 groups */
};

/* The values of the line that starts with this name ("Uid:"): its numbers, at most `capacity`. */
static size_t read_line(const char *text, size_t length, const char *name, unsigned base,
                        uint64_t *values, size_t capacity) {
    size_t name_length = strlen(name), count = 0;
    const char *end = text + length;
    while (text < end) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        if (line_end == NULL)
            return 0;
        if ((size_t)(line_end - text) > name_length && memcmp(text, name, name_length) == 0) {
            text += name_length;
            while (count < capacity && text < line_end) {
                size_t used = pi_parse_u64(text, (size_t)(line_end - text), base, &values[count]);
                count += used != 0;
                text += used != 0 ? used : 1;
            }
            return count;
        }
        text = line_end + 1;
    }
    return 0;
}

void pi_refusal_parse_target(const char *status, size_t length, pi_refusal_facts *facts) {
    uint64_t values[3];
    if (read_line(status, length, "Uid:", 10, values, 3) == 3)
        for (int i = 0; i < 3; i++)
            facts->target_user_ids[i] = (uint32_t)values[i];
    if (read_line(status, length, "Gid:", 10, values, 3) == 3)
        for (int i = 0; i < 3; i++)
            facts->target_group_ids[i] = (uint32_t)values[i];
    if (read_line(status, length, "TracerPid:", 10, values, 1) == 1)
        facts->tracer_pid = (int32_t)values[0];
    if (read_line(status, length, "CapPrm:", 16, values, 1) == 1)
        facts->target_capabilities = values[0];
    if (read_line(status, length, "Seccomp:", 10, values, 1) == 1)
        facts->target_is_filtered = values[0] != 0;
}

void pi_refusal_parse_own(const char *status, size_t length, pi_refusal_facts *facts) {
    uint64_t value;
    if (read_line(status, length, "CapPrm:", 16, &value, 1) == 1)
        facts->own_capabilities = value;
    if (read_line(status, length, "CapEff:", 16, &value, 1) == 1) {
        facts->own_may_trace = (value >> CAPABILITY_SYS_PTRACE & 1) != 0;
        facts->own_may_suspend_filters = (value >> CAPABILITY_SYS_ADMIN & 1) != 0;
    }
    if (read_line(status, length, "Seccomp:", 10, &value, 1) == 1)
        facts->own_has_seccomp_filter = value == SECCOMP_FILTERED;
}

bool pi_refusal_read_target(int directory, const char *path, pi_refusal_facts *facts) {
    pi_buffer status = {0};
    bool is_read = pi_proc_read_bytes(directory, path, &status, LARGEST_STATUS) == 0;
    if (is_read)
        pi_refusal_parse_target(status.data, status.length, facts);
    pi_buffer_free(&status);
    return is_read;
}

bool pi_refusal_read_own(const pi_system *system, pi_refusal_facts *facts) {
    pi_buffer status = {0};
    bool is_read =
        pi_proc_read_bytes(system->proc, "thread-self/status", &status, LARGEST_STATUS) == 0;
    if (is_read)
        pi_refusal_parse_own(status.data, status.length, facts);
    pi_buffer_free(&status);
    return is_read;
}

/* The one of these ids that isn't ours; ours where all are. */
static uint32_t find_other(const uint32_t ids[3], uint32_t own) {
    uint32_t other = ids[1];
    for (int i = 0; i < 3; i++)
        if (ids[i] != own)
            other = ids[i];
    return other;
}

/* What keeps those without CAP_SYS_PTRACE from tracing; NULL for nothing of it. `text` is room for
 * it. */
static const char *missing_capability(const pi_refusal_facts *facts, char *text, size_t capacity) {
    uint32_t user = find_other(facts->target_user_ids, facts->own_user_id);
    uint32_t group = find_other(facts->target_group_ids, facts->own_group_id);
    if (user != facts->own_user_id)
        snprintf(text, capacity,
                 "it belongs to user %u, the host runs as user %u; run the host as that "
                 "user, or grant it CAP_SYS_PTRACE",
                 (unsigned)user, (unsigned)facts->own_user_id);
    else if (group != facts->own_group_id)
        snprintf(
            text, capacity,
            "it belongs to group %u, the host runs as group %u; run the host as that group, or "
            "grant it CAP_SYS_PTRACE",
            (unsigned)group, (unsigned)facts->own_group_id);
    else if ((facts->target_capabilities & ~facts->own_capabilities) != 0)
        snprintf(text, capacity,
                 "it holds capabilities (0x%llx) that the host lacks; grant the host "
                 "CAP_SYS_PTRACE",
                 (unsigned long long)(facts->target_capabilities & ~facts->own_capabilities));
    else if (!facts->target_is_dumpable)
        snprintf(text, capacity,
                 "it is not dumpable (a setuid or unreadable program, or it asked for that "
                 "with PR_SET_DUMPABLE); grant the host CAP_SYS_PTRACE");
    else if (facts->yama_scope == 1)
        snprintf(text, capacity,
                 "Yama's ptrace_scope is 1, which allows the host's own process only; "
                 "grant the host CAP_SYS_PTRACE, or set kernel.yama.ptrace_scope to 0");
    else if (facts->yama_scope == 2)
        snprintf(text, capacity, "Yama's ptrace_scope is 2; grant the host CAP_SYS_PTRACE");
    else
        return NULL;
    return text;
}

static int32_t refuse(const pi_refusal_facts *facts, const char *cause, procinspect_error *error) {
    if (facts->file == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_PERMISSION, facts->os_errno,
                            "The kernel doesn't let the host trace process %d: %s.",
                            (int)facts->pid, cause);
    return pi_error_set(error, PROCINSPECT_ERROR_PERMISSION, facts->os_errno,
                        "The kernel doesn't let the host read %s of process %d: %s.", facts->file,
                        (int)facts->pid, cause);
}

int32_t pi_refusal_explain(const pi_refusal_facts *facts, procinspect_error *error) {
    char text[256];
    const char *cause = NULL;
    if (facts->os_errno == ESRCH || facts->os_errno == ENOENT)
        return pi_error_set(error, PROCINSPECT_ERROR_GONE, facts->os_errno,
                            "The process with the Id %d has ended; list the processes again.",
                            (int)facts->pid);
    if (facts->tracer_is_own_helper)
        return pi_error_set(error, PROCINSPECT_ERROR_TRACED, facts->os_errno,
                            "This host is dumping or ending process %d already, through its helper "
                            "process %d; try again when that is done.",
                            (int)facts->pid, (int)facts->tracer_pid);
    if (facts->tracer_pid != 0)
        return pi_error_set(error, PROCINSPECT_ERROR_TRACED, facts->os_errno,
                            "Process %d is traced by process %d, a debugger or another dump; a "
                            "process can have one tracer only. End or detach that one first, or "
                            "try again where it is a dump.",
                            (int)facts->pid, (int)facts->tracer_pid);
    if (facts->yama_scope == 3)
        cause = "Yama's ptrace_scope is 3, which forbids it to everyone until the next boot; set "
                "kernel.yama.ptrace_scope lower in sysctl.d and restart the machine";
    else if (!facts->own_may_trace)
        cause = missing_capability(facts, text, sizeof text);
    if (cause == NULL && (facts->own_has_seccomp_filter || facts->os_errno == ENOSYS))
        cause = "the host runs under a seccomp filter, as in a container, that may forbid ptrace; "
                "allow ptrace, process_vm_readv and wait4 in it";
    if (cause == NULL && facts->own_may_trace)
        cause =
            "a security module (SELinux, AppArmor) or another user namespace forbids it; allow the "
            "host ptrace there";
    if (cause == NULL && facts->yama_scope == PI_YAMA_SCOPE_UNKNOWN)
        cause =
            "a security module (Yama, SELinux, AppArmor) forbids it; allow the host ptrace there, "
            "or grant it CAP_SYS_PTRACE";
    if (cause == NULL)
        cause = "a security module (SELinux, AppArmor) forbids it; allow the host ptrace there, or "
                "grant it CAP_SYS_PTRACE";
    return refuse(facts, cause, error);
}

int pi_yama_scope(const pi_system *system) {
    char text[16];
    uint64_t scope;
    ssize_t length =
        pi_proc_read_once(system->proc, "sys/kernel/yama/ptrace_scope", text, sizeof text);
    if (length <= 0 || pi_parse_u64(text, (size_t)length, 10, &scope) == 0 || scope > 3)
        return PI_YAMA_SCOPE_UNKNOWN;
    return (int)scope;
}

/* The files of a process that is not dumpable belong to root. */
static bool is_dumpable(int directory, const char *status_path, uint32_t effective_user) {
    struct stat status;
    return fstatat(directory, status_path, &status, 0) != 0 || status.st_uid != 0 ||
           effective_user == 0;
}

/* 1 where this is a helper that another thread of the calling process has at work: no other child
 * ends without a signal to its parent. 0 where it isn't; -1 where there is no such process. */
static int is_own_helper(const pi_system *system, int32_t pid) {
    char path[32];
    pi_stat_text text;
    pi_stat stat;
    snprintf(path, sizeof path, "%d/stat", (int)pid);
    int result = pi_stat_read(system->proc, path, &text, &stat);
    if (result == -ENOENT || result == -ESRCH)
        return -1;
    return result == 0 && stat.parent_pid == getpid() && stat.exit_signal == 0;
}

/* A tracer that has ended since it was seen is none. */
static void look_at_tracer(const pi_system *system, pi_refusal_facts *facts) {
    if (facts->tracer_pid == 0)
        return;
    int is_own = is_own_helper(system, facts->tracer_pid);
    facts->tracer_is_own_helper = is_own == 1;
    if (is_own < 0)
        facts->tracer_pid = 0;
}

int32_t pi_capture_traced(const pi_process *process, int32_t tracer_pid, int32_t *own_helper,
                          procinspect_error *error) {
    pi_refusal_facts facts = {.pid = process->pid, .os_errno = EPERM, .tracer_pid = tracer_pid};
    facts.tracer_is_own_helper = is_own_helper(process->system, tracer_pid) == 1;
    *own_helper = facts.tracer_is_own_helper ? tracer_pid : 0;
    return pi_refusal_explain(&facts, error);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool pi_wait_for_own_helper(const pi_system *system, int32_t pid, int64_t deadline_ns,
                            const procinspect_cancellation *cancellation) {
    enum { STEP_MS = 10 };
    if (pid == 0)
        return false;
    struct pollfd ended = {(int)syscall(SYS_pidfd_open, pid, 0), POLLIN, 0};
    if (ended.fd < 0)
        return errno == ESRCH;
    /* Looked at with the pidfd open: has the number another owner by now? */
    bool has_ended = is_own_helper(system, pid) != 1;
    while (!has_ended && now_ns() < deadline_ns && !pi_cancellation_is_requested(cancellation))
        has_ended = poll(&ended, 1, STEP_MS) == 1;
    pi_close(ended.fd);
    return has_ended;
}

int32_t pi_capture_refused(const pi_process *process, int32_t tid, int os_errno,
                           int32_t *own_helper, procinspect_error *error) {
    pi_refusal_facts facts = {.pid = process->pid, .os_errno = os_errno};
    char path[32];
    /* To one that is about to end nobody has rights, and its files are root's by then. */
    int32_t code = pi_living_check(process, error);
    if (code != PROCINSPECT_OK)
        return code;
    snprintf(path, sizeof path, "task/%d/status", (int)tid);
    pi_refusal_read_target(process->directory, path, &facts);
    look_at_tracer(process->system, &facts);
    if (own_helper != NULL)
        *own_helper = facts.tracer_is_own_helper ? facts.tracer_pid : 0;
    facts.own_user_id = geteuid();
    facts.own_group_id = getegid();
    facts.target_is_dumpable = is_dumpable(process->directory, "status", facts.target_user_ids[1]);
    facts.yama_scope = pi_yama_scope(process->system);
    pi_refusal_read_own(process->system, &facts);
    return pi_refusal_explain(&facts, error);
}

int32_t pi_read_refused(const pi_system *system, int directory, const char *prefix, int32_t pid,
                        const char *file, int os_errno, procinspect_error *error) {
    pi_refusal_facts facts = {.pid = pid, .os_errno = os_errno, .file = file};
    if (!system->is_live)
        return refuse(&facts, "their permissions below this proc_root don't allow it", error);
    char path[64];
    snprintf(path, sizeof path, "%sstatus", prefix);
    if (!pi_refusal_read_target(directory, path, &facts)) /* everyone may read that one */
        return refuse(&facts,
                      "/proc is mounted with hidepid; run the host as that process's user, or in "
                      "the group of the mount's gid= option",
                      error);
    facts.own_user_id = geteuid();
    facts.own_group_id = getegid();
    facts.target_is_dumpable = is_dumpable(directory, path, facts.target_user_ids[1]);
    pi_refusal_read_own(system, &facts);
    /* These concern those who trace. */
    facts.tracer_pid = 0;
    facts.own_has_seccomp_filter = false;
    return pi_refusal_explain(&facts, error);
}
