/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "platform/linux/kill/tree.h"
#include "platform/linux/trace/helper_system_call.h"
#include "platform/linux/trace/inject_call.h"
#include "platform/linux/trace/stop.h"

/*
 * The kernel's process events can't be had in containers, and are lost where more come than the
 * socket has room for. So the root of the tree is made the reaper of its orphans: one of its
 * threads calls prctl(PR_SET_CHILD_SUBREAPER) for us. From then on whoever loses his parent comes
 * to the root, which is killed last: no link is lost any more while it lives.
 *
 * The thread's registers and signal mask are put back at once. Should the helper be killed before
 * that, the thread puts them back itself (trace/inject_call.h), in every program that has the code
 * for it: libc has, where it isn't behind a megabyte of other mappings.
 */

enum {
    VDSO_BYTES = 8192,
    ANSWER_STEP_NS = 50000,
    MOST_TRIES = 3,
    LEAST_LOOKS = 20,         /* even where time is up: on a busy machine it passes without us */
    USER_CODE_SEGMENT = 0x33, /* 64-bit code */
    RED_ZONE_BYTES = 128,
    EVENT_SHIFT = 16,
    EVENT_STOP = 128,           /* PTRACE_EVENT_STOP, which libc's header lacks */
    GET_USER_DISPATCH = 0x4211, /* PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, of newer headers */
    ADOPT_OPTIONS =
        PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE
};

/* For all tries: a thread that only waits for a processor, on a busy machine, may take seconds. */
static const uint64_t adopt_limit_ns = UINT64_C(10000000000);
/* For each of the looks that are made in any case. */
static const uint64_t look_limit_ns = UINT64_C(500000000);
/* For putting a thread back, whatever the time. */
static const uint64_t end_limit_ns = UINT64_C(3000000000);

/* A thread of the root's that stands, and what it was about. */
typedef struct borrowed {
    int32_t tid;
    struct user_regs_struct before;
    pi_inject_gadgets gadgets;
    pi_inject inject;
} borrowed;

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
static int wait_for_stop(const pi_kill_tree *tree, int32_t tid) {
    for (;;) {
        int status;
        bool is_late = raw_now_ns() >= tree->adopt_by_ns; /* first: who sleeps may be woken late */
        long got = raw_wait(tid, &status, __WALL | WNOHANG);
        if (got == tid)
            return WIFSTOPPED(status) ? status : -1;
        if (got < 0 || is_late)
            return -1;
        struct timespec step = {0, ANSWER_STEP_NS};
        raw_call(SYS_nanosleep, (long)&step, 0, 0, 0);
    }
}

static bool is_interrupt(int status) {
    return status >= 0 && status >> EVENT_SHIFT == EVENT_STOP;
}

/* Until the thread stands where registers can be changed. Signals that come first are delivered. */
static bool interrupt_thread(pi_kill_tree *tree, int32_t tid) {
    raw_ptrace(PTRACE_INTERRUPT, tid, 0, 0);
    int signal = pi_kill_take_stop(tree, tid);
    if (signal >= 0) /* it stands, and will again behind this */
        raw_ptrace(PTRACE_CONT, tid, 0, (uintptr_t)signal);
    int status = wait_for_stop(tree, tid);
    while (status >= 0 && !is_interrupt(status)) {
        raw_ptrace(PTRACE_CONT, tid, 0, (uintptr_t)pi_stop_signal_of(status));
        status = wait_for_stop(tree, tid);
    }
    return is_interrupt(status);
}

/* Makes the thread call prctl: its answer. */
static long call_prctl(borrowed *thread, long option, uint64_t argument) {
    const uint64_t arguments[4] = {(uint64_t)option, argument};
    long answer;
    return pi_inject_call(&thread->inject, SYS_prctl, arguments, &answer) == PI_INJECT_OK ? answer
                                                                                          : -1;
}

/* Where a filter of the process's own could judge the call, or answer it by killing, it is put
 * aside; that takes privileges. Without them it is only tried on who is to be killed anyway. */
static bool may_call(const pi_kill_tree *tree, int32_t tid) {
    uint64_t dispatch[4] = {0};
    if (raw_ptrace(GET_USER_DISPATCH, tid, sizeof dispatch, (uintptr_t)dispatch) == 0 &&
        dispatch[0] != 0)
        return false; /* it has its own calls sent back to it as signals */
    return raw_ptrace(PTRACE_SETOPTIONS, tid, 0, ADOPT_OPTIONS) == 0 &&
           (pi_kill_read_status(tree, tid, "Seccomp") == 0 ||
            raw_ptrace(PTRACE_SETOPTIONS, tid, 0, ADOPT_OPTIONS | PTRACE_O_SUSPEND_SECCOMP) == 0 ||
            tree->grace_ns == 0);
}

/* Lets it run until it stops again, from where it was interrupted, so that the call it was in can
 * be restarted by the kernel. */
static void give_back(const borrowed *thread) {
    raw_ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
    raw_ptrace(PTRACE_CONT, thread->tid, 0, 0);
}

/* Where a program has no code for a frame the vDSO's instruction serves, without one. Its code is
 * read for that, which waits where it is mapped from a file system that doesn't answer. */
static bool begin_calls(pi_kill_tree *tree, borrowed *thread) {
    long length = pi_kill_read_maps(tree, tree->root_pid);
    const pi_inject_search search = {.pid = tree->root_pid,
                                     .maps = tree->maps,
                                     .maps_length = length > 0 ? (size_t)length : 0,
                                     .near = thread->before.rip,
                                     .code = tree->code,
                                     .code_capacity = sizeof tree->code};
    pi_inject *inject = &thread->inject;
    inject->origin = (pi_inject_origin){.pid = tree->root_pid,
                                        .tid = thread->tid,
                                        .gadgets = &thread->gadgets,
                                        .registers = &thread->before,
                                        .repairs_call = pi_call_needs_restart(&thread->before)};
    inject->wait = pi_inject_sleep; /* SIGCHLD is waited for elsewhere */
    inject->deadline_ns = tree->adopt_by_ns;
    inject->has_no_frame = !pi_inject_find_gadgets(&search, &thread->gadgets);
    if (!inject->has_no_frame && pi_inject_begin(inject) == PI_INJECT_OK)
        return true;
    inject->has_no_frame = true;
    thread->gadgets.call = tree->adopt_instruction;
    return pi_inject_begin(inject) == PI_INJECT_OK;
}

static bool borrow(pi_kill_tree *tree, borrowed *thread) {
    if (!interrupt_thread(tree, thread->tid))
        return false;
    pi_kill_arm_watchdog(tree);
    bool has_begun = raw_ptrace(PTRACE_GETREGS, thread->tid, 0, (uintptr_t)&thread->before) == 0 &&
                     thread->before.cs == USER_CODE_SEGMENT && may_call(tree, thread->tid) &&
                     begin_calls(tree, thread);
    pi_kill_disarm_watchdog(tree);
    if (!has_begun)
        give_back(thread);
    return has_begun;
}

static void put_back(borrowed *thread) {
    thread->inject.deadline_ns = raw_now_ns() + end_limit_ns;
    pi_inject_end(&thread->inject);
    raw_ptrace(PTRACE_SETOPTIONS, thread->tid, 0, ADOPT_OPTIONS & ~PTRACE_O_TRACESYSGOOD);
    give_back(thread);
}

/* Below what the thread uses of its stack: what the frame for a child takes, and there is none, is
 * put back. */
static uint64_t room_for_answer(const borrowed *thread) {
    return thread->inject.has_no_frame ? (thread->before.rsp - 2 * RED_ZONE_BYTES) & ~UINT64_C(7)
                                       : thread->inject.frame.child_address;
}

/* 1 or 0; -1 where it doesn't say. */
static int is_reaper(borrowed *thread) {
    uint64_t address = room_for_answer(thread);
    uint64_t value = 0;
    if (call_prctl(thread, PR_GET_CHILD_SUBREAPER, address) != 0 ||
        raw_ptrace(PTRACE_PEEKDATA, thread->tid, address, (uintptr_t)&value) != 0)
        return -1;
    return (uint32_t)value != 0;
}

/* Through this thread, where it can be; false once it is done. */
static bool adopt_through(pi_kill_tree *tree, int32_t pid, int32_t tid) {
    borrowed thread;
    thread.tid = tid;
    char state = pi_kill_thread_state(tree, pid, tid);
    if (pi_kill_index_find(&tree->threads, tid) < 0 || state == 'Z' || state == 'X')
        return true;
    if (state == 'D') { /* maybe for good, and maybe for a moment, as who forks */
        tree->wants_reaper = true;
        return true;
    }
    tree->adopt_tries++;
    if (!borrow(tree, &thread)) {
        tree->wants_reaper = true;
        return tree->adopt_tries < MOST_TRIES;
    }
    int was_reaper = is_reaper(&thread);
    /* Before the call, which may yet be made where no answer came in time, or the helper ended:
     * then the host takes it back. */
    if (was_reaper == 0)
        tree->adopted_through = tid;
    bool is_done =
        was_reaper == 1 || (was_reaper == 0 && call_prctl(&thread, PR_SET_CHILD_SUBREAPER, 1) == 0);
    put_back(&thread);
    if (is_done)
        pi_kill_gain_reaper(tree);
    tree->wants_reaper = !is_done;
    return !is_done && tree->adopt_tries < MOST_TRIES;
}

static bool is_awake(pi_kill_tree *tree, int32_t pid, int32_t tid) {
    return pi_kill_thread_state(tree, pid, tid) != 'D' || !pi_kill_may_be_forking(tree, pid, tid);
}

static void find_call(pi_kill_tree *tree) {
    pi_kill_arm_watchdog(tree);
    tree->adopt_instruction = find_instruction(tree);
    pi_kill_disarm_watchdog(tree);
}

void pi_kill_want_reaper(pi_kill_tree *tree) {
    tree->wants_reaper = true;
    tree->adopt_tries = tree->adopt_looks = 0;
    tree->adopt_by_ns = raw_now_ns() + adopt_limit_ns;
}

static bool may_look(pi_kill_tree *tree) {
    uint64_t look_by_ns = raw_now_ns() + look_limit_ns;
    if (tree->adopt_by_ns >= look_by_ns)
        return true;
    if (++tree->adopt_looks > LEAST_LOOKS)
        return raw_now_ns() < tree->adopt_by_ns;
    tree->adopt_by_ns = look_by_ns;
    return true;
}

void pi_kill_adopt(pi_kill_tree *tree) {
    pi_kill_member *root = &tree->members[0];
    tree->wants_reaper = false;
    if (tree->has_reaper || root->has_ended)
        return;
    if (tree->host_is_reaper) { /* it has made the call itself */
        pi_kill_gain_reaper(tree);
        return;
    }
    if (root->is_last || tree->never_trace || !may_look(tree))
        return;
    if (root->hold == PI_KILL_RUNS)
        pi_kill_seize(tree, root);
    if (root->hold != PI_KILL_SEIZED)
        return;
    /* While the memory is copied for a child, nobody can read it. */
    tree->wants_reaper = !pi_kill_each_thread(tree, root->pid, is_awake);
    if (tree->wants_reaper)
        return;
    find_call(tree);
    if (tree->adopt_instruction != 0)
        pi_kill_each_thread(tree, root->pid, adopt_through);
    tree->wants_reaper = tree->wants_reaper && tree->adopt_tries < MOST_TRIES;
    root->is_reaper = tree->has_reaper;
}

/* The root as it was. */
static void undo_through(pi_kill_tree *tree, borrowed *thread) {
    tree->adopt_by_ns = raw_now_ns() + end_limit_ns;
    if (!borrow(tree, thread))
        return;
    if (call_prctl(thread, PR_SET_CHILD_SUBREAPER, 0) == 0)
        tree->adopted_through = 0;
    put_back(thread);
}

void pi_kill_undo_adoption(pi_kill_tree *tree) {
    borrowed thread;
    thread.tid = tree->adopted_through;
    if (tree->adopted_through != 0)
        undo_through(tree, &thread);
}

/* Any thread serves. False once it is done, and where the root is another process by now. */
static bool undo_alone(pi_kill_tree *tree, int32_t pid, int32_t tid) {
    pi_kill_process root;
    borrowed thread;
    thread.tid = tid;
    if (raw_ptrace(PTRACE_SEIZE, tid, 0, 0) != 0)
        return true;
    bool is_same =
        pi_kill_read_process(tree, pid, &root) == 0 && root.start_ticks == tree->root_start_ticks;
    if (is_same)
        undo_through(tree, &thread);
    else
        raw_ptrace(PTRACE_INTERRUPT, tid, 0, 0);
    int status = wait_for_stop(tree, tid);
    if (status >= 0)
        pi_kill_detach_thread(tid, pi_stop_signal_of(status));
    return is_same && tree->adopted_through != 0;
}

void pi_kill_undo_job(pi_helper *helper, void *argument) {
    pi_kill_tree *tree = argument;
    tree->helper = helper;
    tree->end_by_ns = atomic_load(&helper->end_by_ns);
    tree->adopt_by_ns = raw_now_ns() + end_limit_ns;
    find_call(tree);
    pi_kill_each_thread(tree, tree->root_pid, undo_alone);
}
