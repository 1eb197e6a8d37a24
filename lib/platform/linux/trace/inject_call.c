/* SPDX-License-Identifier: MIT */
#include "platform/linux/trace/inject_call.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "platform/linux/trace/helper_system_call.h"
#include "platform/linux/trace/stop.h"

enum {
    EVENT_SHIFT = 16,
    EVENT_STOP = 128, /* PTRACE_EVENT_STOP, which libc's header lacks */
    CALL_STOP = SIGTRAP | 0x80,
    MESSAGE_ENTRY = 1, /* PTRACE_EVENTMSG_SYSCALL_ENTRY */
    SIGNAL_SET_BYTES = 8,
    CALL_INSTRUCTION_BYTES = 2,
    MOST_STOPS = 64, /* on the way to one that is waited for */
    MOST_RESTARTS = 16
};

static const uint64_t wait_step_ns = UINT64_C(10000000);
static const uint64_t sleep_step_ns = UINT64_C(50000);

void pi_inject_sleep(uint64_t limit_ns) {
    struct timespec step = {0, (long)(limit_ns < sleep_step_ns ? limit_ns : sleep_step_ns)};
    raw_call(SYS_nanosleep, (long)&step, 0, 0, 0);
}

/* The next stop of the thread. */
static pi_inject_result wait_for_stop(const pi_inject *inject, int *status) {
    for (;;) {
        bool is_late = raw_now_ns() >= inject->deadline_ns; /* who sleeps may be woken late */
        long got = raw_wait(inject->origin.tid, status, __WALL | WNOHANG);
        if (got == inject->origin.tid)
            return WIFSTOPPED(*status) ? PI_INJECT_OK : PI_INJECT_GONE;
        if (got < 0)
            return PI_INJECT_GONE;
        if (is_late)
            return PI_INJECT_LATE;
        inject->wait(wait_step_ns);
    }
}

/* The signal that has stopped it on its way there. All are blocked but SIGSTOP, which has to reach
 * it. */
static uintptr_t signal_of(int status) {
    return status >> EVENT_SHIFT == 0 && WSTOPSIG(status) == SIGSTOP ? SIGSTOP : 0;
}

static void note_fork(pi_inject *inject, int status) {
    unsigned long pid = 0;
    if (status >> EVENT_SHIFT == PTRACE_EVENT_CLONE &&
        raw_ptrace(PTRACE_GETEVENTMSG, inject->origin.tid, 0, (uintptr_t)&pid) == 0)
        inject->forked_pid = (int32_t)pid;
}

static void use_time(pi_inject *inject) {
    void (*meanwhile)(void *argument) = inject->meanwhile;
    inject->meanwhile = NULL;
    if (meanwhile != NULL)
        meanwhile(inject->argument);
}

/* Until it stands before or behind a system call. What comes first are stops for SIGSTOP, of a
 * process that had been stopped, too, and the fork. */
static pi_inject_result go_to_call(pi_inject *inject, bool is_in_call) {
    uintptr_t signal = 0;
    for (int i = 0; i < MOST_STOPS; i++) {
        int status;
        if (raw_ptrace(PTRACE_SYSCALL, inject->origin.tid, 0, signal) != 0)
            return PI_INJECT_GONE;
        if (is_in_call)
            use_time(inject);
        pi_inject_result result = wait_for_stop(inject, &status);
        if (result != PI_INJECT_OK)
            return result;
        if (status >> EVENT_SHIFT == 0 && WSTOPSIG(status) == CALL_STOP)
            return PI_INJECT_OK;
        signal = signal_of(status);
        note_fork(inject, status);
    }
    return PI_INJECT_LATE;
}

static bool set_registers(const pi_inject *inject, const struct user_regs_struct *registers) {
    return raw_ptrace(PTRACE_SETREGS, inject->origin.tid, 0, (uintptr_t)registers) == 0;
}

static bool set_mask(const pi_inject *inject, uint64_t mask) {
    return raw_ptrace(PTRACE_SETSIGMASK, inject->origin.tid, SIGNAL_SET_BYTES, (uintptr_t)&mask) ==
           0;
}

static struct user_regs_struct registers_for(const pi_inject *inject, long number,
                                             const uint64_t arguments[4]) {
    struct user_regs_struct registers = *inject->origin.registers;
    registers.rax = (uint64_t)number;
    registers.orig_rax = UINT64_MAX; /* nothing to restart */
    registers.rdi = arguments[0];
    registers.rsi = arguments[1];
    registers.rdx = arguments[2];
    registers.r10 = arguments[3];
    registers.r8 = registers.r9 = 0;
    registers.rip = inject->origin.gadgets->call;
    if (!inject->has_no_frame)
        registers.rsp = inject->frame.address;
    return registers;
}

/* To the entry of a call that leads home, and there into the one that is wanted. */
static pi_inject_result enter_call(pi_inject *inject, long number, const uint64_t arguments[4]) {
    struct user_regs_struct wanted = registers_for(inject, number, arguments);
    struct user_regs_struct first = wanted;
    unsigned long message = 0;
    if (!inject->has_no_frame) {
        first.rax = SYS_rt_sigreturn;
        first.rsp = inject->frame.call_address;
    }
    if (!set_registers(inject, &first) || !set_mask(inject, UINT64_MAX))
        return PI_INJECT_GONE;
    pi_inject_result result = go_to_call(inject, false);
    if (result != PI_INJECT_OK || inject->has_no_frame)
        return result;
    if (raw_ptrace(PTRACE_GETEVENTMSG, inject->origin.tid, 0, (uintptr_t)&message) != 0)
        return PI_INJECT_GONE;
    if (message != MESSAGE_ENTRY)
        return PI_INJECT_FAILED;
    wanted.orig_rax = (uint64_t)number;
    wanted.rax = (uint64_t)-ENOSYS;
    wanted.rip += CALL_INSTRUCTION_BYTES;
    return set_registers(inject, &wanted) ? PI_INJECT_OK : PI_INJECT_GONE;
}

/* A signal that can't be blocked, or our own interrupt, may have come before the work was done: the
 * kernel begins the call anew by itself. */
static pi_inject_result leave_call(pi_inject *inject, long *answer) {
    for (int i = 0; i < MOST_RESTARTS; i++) {
        struct user_regs_struct registers;
        pi_inject_result result = i == 0 ? PI_INJECT_OK : go_to_call(inject, false);
        if (result == PI_INJECT_OK)
            result = go_to_call(inject, true);
        if (result != PI_INJECT_OK)
            return result;
        if (raw_ptrace(PTRACE_GETREGS, inject->origin.tid, 0, (uintptr_t)&registers) != 0)
            return PI_INJECT_GONE;
        *answer = (long)registers.rax;
        if (!pi_inject_is_restarted(&registers))
            return PI_INJECT_OK;
    }
    return PI_INJECT_FAILED;
}

pi_inject_result pi_inject_begin(pi_inject *inject) {
    pi_inject_origin *origin = &inject->origin;
    inject->forked_pid = 0;
    inject->meanwhile = NULL;
    if (raw_ptrace(PTRACE_GETSIGMASK, origin->tid, SIGNAL_SET_BYTES, (uintptr_t)&origin->mask) != 0)
        return PI_INJECT_FAILED;
    if (inject->has_no_frame)
        return PI_INJECT_OK;
    return pi_inject_has_gadgets(origin->pid, origin->gadgets) &&
                   pi_inject_push_frame(origin, &inject->frame)
               ? PI_INJECT_OK
               : PI_INJECT_FAILED;
}

pi_inject_result pi_inject_call(pi_inject *inject, long number, const uint64_t arguments[4],
                                long *answer) {
    pi_inject_result result = enter_call(inject, number, arguments);
    if (result != PI_INJECT_OK)
        return result;
    uint64_t begin_ns = raw_now_ns();
    result = leave_call(inject, answer);
    inject->call_ns = raw_now_ns() - begin_ns;
    return result;
}

/* From behind a call to the stop that it came from: there the kernel has yet to look whether a call
 * is to be restarted. */
static pi_inject_result go_to_event_stop(const pi_inject *inject) {
    uintptr_t signal = 0;
    if (raw_ptrace(PTRACE_INTERRUPT, inject->origin.tid, 0, 0) != 0)
        return PI_INJECT_GONE;
    for (int i = 0; i < MOST_STOPS; i++) {
        int status;
        if (raw_ptrace(PTRACE_CONT, inject->origin.tid, 0, signal) != 0)
            return PI_INJECT_GONE;
        pi_inject_result result = wait_for_stop(inject, &status);
        if (result != PI_INJECT_OK || status >> EVENT_SHIFT == EVENT_STOP)
            return result;
        signal = signal_of(status);
    }
    return PI_INJECT_LATE;
}

pi_inject_result pi_inject_end(pi_inject *inject) {
    pi_inject_result result = go_to_event_stop(inject);
    if (result != PI_INJECT_OK)
        return result;
    struct user_regs_struct registers = *inject->origin.registers;
    if (inject->origin.repairs_call)
        registers.rax = PI_CALL_RESTARTS;
    if (!set_mask(inject, inject->origin.mask) || !set_registers(inject, &registers))
        return PI_INJECT_GONE;
    if (!inject->has_no_frame)
        pi_inject_pop_frame(inject->origin.pid, &inject->frame);
    return PI_INJECT_OK;
}
