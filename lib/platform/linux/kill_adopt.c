/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "platform/linux/helper_system_call.h"
#include "platform/linux/kill_tree.h"

/*
 * The kernel's process events can't be had in containers, and are lost where more come than the
 * socket has room for. So the root of the tree is made the reaper of its orphans: one of its
 * threads, which is about to be killed, calls prctl(PR_SET_CHILD_SUBREAPER) for us. From then on
 * whoever loses his parent comes to the root, which stands and can't end: no link is lost any more,
 * and the root is killed last.
 *
 * The thread's registers and signal mask are put back at once. Were the helper killed in the few
 * microseconds between, the thread would go on as if its system call had answered 0.
 */

enum {
    VDSO_BYTES = 8192,
    ANSWER_LIMIT_NS = 1000000000,
    ANSWER_STEP_NS = 50000,
    SIGNAL_SET_BYTES = 8,
    USER_CODE_SEGMENT = 0x33, /* 64-bit code */
    EVENT_SHIFT = 16
};

typedef struct auxiliary {
    uint64_t type;
    uint64_t value;
} auxiliary;

static uint64_t vdso_address(const pi_kill_tree *tree) {
    auxiliary values[64];
    long length = pi_kill_read_file(tree, tree->root_pid, "/auxv", (char *)values, sizeof values);
    for (long i = 0; i < length / (long)sizeof values[0]; i++)
        if (values[i].type == AT_SYSINFO_EHDR)
            return values[i].value;
    return 0;
}

/* The address of a system call instruction, of which the vDSO has several; 0 for none. */
static uint64_t find_instruction(const pi_kill_tree *tree) {
    unsigned char code[VDSO_BYTES];
    uint64_t address = vdso_address(tree);
    struct iovec here = {code, sizeof code};
    struct iovec there = {(void *)(uintptr_t)address, sizeof code};
    long length = address == 0 ? 0
                               : raw_call6(SYS_process_vm_readv, tree->root_pid, (long)&here, 1,
                                           (long)&there, 1, 0);
    for (long i = 0; i + 1 < length; i++)
        if (code[i] == 0x0f && code[i + 1] == 0x05)
            return address + (uint64_t)i;
    return 0;
}

/* The next stop of the thread: its status, or -1 where it ended or none came. */
static int wait_for_stop(int32_t tid) {
    uint64_t until = raw_now_ns() + ANSWER_LIMIT_NS;
    while (raw_now_ns() < until) {
        int status;
        long got = raw_wait(tid, &status, __WALL | WNOHANG);
        if (got == tid)
            return WIFSTOPPED(status) ? status : -1;
        if (got < 0)
            return -1;
        struct timespec step = {0, ANSWER_STEP_NS};
        raw_call(SYS_nanosleep, (long)&step, 0, 0, 0);
    }
    return -1;
}

static bool is_interrupt(int status) {
    return status >= 0 && status >> EVENT_SHIFT == PTRACE_EVENT_STOP;
}

/* Until the thread stands where registers can be changed. Signals that come first are delivered. */
static bool interrupt_thread(int32_t tid) {
    int status = wait_for_stop(tid);
    while (status >= 0 && !is_interrupt(status)) {
        bool is_signal = status >> EVENT_SHIFT == 0;
        raw_ptrace(PTRACE_CONT, tid, 0, is_signal ? (uintptr_t)WSTOPSIG(status) : 0);
        status = wait_for_stop(tid);
    }
    return is_interrupt(status);
}

static long run_call(int32_t tid, const struct user_regs_struct *before, uint64_t instruction) {
    struct user_regs_struct registers = *before;
    registers.rip = instruction;
    registers.rax = SYS_prctl;
    registers.rdi = PR_SET_CHILD_SUBREAPER;
    registers.rsi = 1;
    registers.rdx = registers.r10 = registers.r8 = 0;
    registers.orig_rax = UINT64_MAX; /* nothing to restart */
    if (raw_ptrace(PTRACE_SETREGS, tid, 0, (uintptr_t)&registers) != 0)
        return -1;
    /* In, and out. */
    for (int stop = 0; stop < 2; stop++)
        if (raw_ptrace(PTRACE_SYSCALL, tid, 0, 0) != 0 || wait_for_stop(tid) < 0)
            return -1;
    if (raw_ptrace(PTRACE_GETREGS, tid, 0, (uintptr_t)&registers) != 0)
        return -1;
    return (long)registers.rax;
}

/* Back to where it was interrupted, so that the call it was in can be restarted by the kernel. */
static void put_back(int32_t tid, const struct user_regs_struct *before, uint64_t mask) {
    raw_ptrace(PTRACE_SETREGS, tid, 0, (uintptr_t)before);
    raw_ptrace(PTRACE_SETSIGMASK, tid, SIGNAL_SET_BYTES, (uintptr_t)&mask);
    raw_ptrace(PTRACE_INTERRUPT, tid, 0, 0);
    raw_ptrace(PTRACE_CONT, tid, 0, 0);
}

static bool adopt_through(int32_t tid, uint64_t instruction) {
    struct user_regs_struct before;
    uint64_t mask, all = UINT64_MAX;
    if (!interrupt_thread(tid) || raw_ptrace(PTRACE_GETREGS, tid, 0, (uintptr_t)&before) != 0)
        return false;
    bool is_ready = before.cs == USER_CODE_SEGMENT &&
                    raw_ptrace(PTRACE_GETSIGMASK, tid, SIGNAL_SET_BYTES, (uintptr_t)&mask) == 0 &&
                    raw_ptrace(PTRACE_SETSIGMASK, tid, SIGNAL_SET_BYTES, (uintptr_t)&all) == 0;
    if (!is_ready) {
        raw_ptrace(PTRACE_INTERRUPT, tid, 0, 0);
        raw_ptrace(PTRACE_CONT, tid, 0, 0);
        return false;
    }
    long result = run_call(tid, &before, instruction);
    put_back(tid, &before, mask);
    return result == 0;
}

/* A filter could answer the call by killing. The host makes the call itself (kill.c). */
static bool can_adopt(const pi_kill_tree *tree, const pi_kill_member *root) {
    return !root->has_ended && root->hold == PI_KILL_SEIZED && !root->is_last &&
           pi_kill_read_status(tree, root->pid, "Seccomp") == 0;
}

void pi_kill_adopt(pi_kill_tree *tree) {
    pi_kill_member *root = &tree->members[0];
    if (tree->host_is_reaper) {
        tree->has_reaper = true;
        tree->is_exact = true;
        return;
    }
    pi_kill_seize(tree, root);
    if (!can_adopt(tree, root) || pi_kill_index_find(&tree->threads, root->pid) < 0)
        return;
    uint64_t instruction = find_instruction(tree);
    if (instruction == 0 || !adopt_through(root->pid, instruction))
        return;
    root->is_reaper = true;
    tree->has_reaper = true;
    if (!tree->is_exact) /* what was given to init until now is lost */
        tree->read_at_ns = raw_now_ns();
    tree->is_exact = true;
}
