/* SPDX-License-Identifier: MIT */
/* A host under a seccomp filter, as container runtimes set one: what is refused says why, and what
 * it was to be done to goes on. */
#include "dump_target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* What follows in this process can't make this call. */
static void forbid(unsigned call, unsigned os_errno) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | os_errno),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(77);
}

static int32_t dump_target_process(procinspect_error *error) {
    procinspect_dump *dump;
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_DUMP, 0, 0);
    procinspect_process *process = open_process(context, target_pid);
    int32_t code = procinspect_dump_capture(process, NULL, &dump, error);
    if (code == 0)
        procinspect_dump_free(dump);
    procinspect_process_free(process);
    procinspect_context_free(context);
    return code;
}

static int32_t end_target_process(procinspect_error *error) {
    const procinspect_kill_report *report;
    procinspect_context *context = context_with(PROCINSPECT_ALLOW_KILL, 0, 0);
    procinspect_process *process = open_process(context, target_pid);
    int32_t code = procinspect_kill_tree(process, NULL, &report, error);
    if (code == 0)
        procinspect_kill_report_free(report);
    procinspect_process_free(process);
    procinspect_context_free(context);
    return code;
}

static char target_state(void) {
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)target_pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    assert_true(length > 0 && strrchr(text, ')') != NULL);
    return strrchr(text, ')')[2];
}

/* Does this in a process of its own that can't make the call; `says` is a part of the message. */
static void expect(int32_t (*act)(procinspect_error *error), unsigned call, unsigned os_errno,
                   int32_t code, const char *says) {
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        procinspect_error error = {0};
        forbid(call, os_errno);
        int32_t result = act(&error);
        if (result != code || strstr(error.message, says) == NULL) {
            fprintf(stderr, "call %u: %d instead of %d with \"%s\": %s\n", call, (int)result,
                    (int)code, says, error.message);
            _exit(1);
        }
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); /* filters can't be set here */
    assert_int_equal(status, 0);
    /* What was let go runs a little before it sleeps again. */
    for (int tries = 0; tries < 10000 && target_state() != 'S'; tries++)
        usleep(1000);
    assert_int_equal(target_state(), 'S');
}

/* What the text names first, where Yama would refuse, too. */
static const char *ptrace_refusal(void) {
    char scope = '0';
    FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "r");
    if (file != NULL) {
        if (fread(&scope, 1, 1, file) != 1)
            scope = '0';
        fclose(file);
    }
    return scope > (geteuid() == 0 ? '2' : '0') ? "ptrace_scope" : "allow ptrace";
}

static void dumps(void **state) {
    (void)state;
    const int32_t refused = PROCINSPECT_ERROR_PERMISSION;
    expect(dump_target_process, SYS_ptrace, EPERM, refused, ptrace_refusal());
    expect(dump_target_process, SYS_ptrace, ENOSYS, refused, ptrace_refusal());
    expect(dump_target_process, SYS_pidfd_open, EPERM, refused, "forbids pidfd_open");
    expect(dump_target_process, SYS_pidfd_open, ENOSYS, refused, "forbids pidfd_open");
}

/* These have another way, or can be done without. */
static void dumps_without_what_they_can_do_without(void **state) {
    (void)state;
    expect(dump_target_process, SYS_process_vm_readv, EPERM, 0, "");
    expect(dump_target_process, SYS_process_vm_readv, ENOSYS, 0, "");
    expect(dump_target_process, SYS_close_range, ENOSYS, 0, "");
    expect(dump_target_process, SYS_pidfd_send_signal, EPERM, 0, "");
    expect(dump_target_process, SYS_setpriority, EPERM, 0, "");
    expect(dump_target_process, SYS_madvise, ENOSYS, 0, "");
}

static void kills(void **state) {
    (void)state;
    const int32_t refused = PROCINSPECT_ERROR_PERMISSION;
    expect(end_target_process, SYS_pidfd_open, EPERM, refused, "forbids pidfd_open");
    expect(end_target_process, SYS_pidfd_open, ENOSYS, refused, "forbids pidfd_open");
    expect(end_target_process, SYS_pidfd_send_signal, EPERM, refused, "forbids pidfd_send_signal");
    expect(end_target_process, SYS_pidfd_send_signal, ENOSYS, refused, "forbids pidfd_send_signal");
}

/* This process's session's share of the processors, "" where sessions have none. */
static void read_share(char text[128]) {
    FILE *file = fopen("/proc/self/autogroup", "r");
    size_t length = file != NULL ? fread(text, 1, 127, file) : 0;
    text[length] = '\0';
    if (file != NULL)
        fclose(file);
}

/* The helper can't have a session of its own then: what it does for its share of the processors
 * mustn't be done to the host's. */
static void a_kill_leaves_the_share_of_the_hosts_session(void **state) {
    (void)state;
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char before[128], after[128];
        procinspect_error error;
        setsid();
        target_pid = fork();
        if (target_pid == 0)
            prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* should the kill fail */
        while (target_pid == 0)
            pause();
        read_share(before);
        forbid(SYS_setsid, EPERM);
        int32_t code = end_target_process(&error);
        read_share(after);
        _exit(code == 0 && strcmp(before, after) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dumps),
        cmocka_unit_test(dumps_without_what_they_can_do_without),
        cmocka_unit_test(kills),
        cmocka_unit_test(a_kill_leaves_the_share_of_the_hosts_session),
    };
    return cmocka_run_group_tests(tests, start_target, end_target);
}
