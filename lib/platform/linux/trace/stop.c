/* SPDX-License-Identifier: MIT */
#include "platform/linux/trace/stop.h"

#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "platform/linux/trace/helper_system_call.h"
#include "platform/linux/trace/stop_threads.h"

/* How long to wait for one thread before looking what it does. */
#define LOOK_AFTER_NS UINT64_C(10000000)

/* How long to wait for a thread of another process to stand, so that it can be let go. */
#define LET_GO_LIMIT_NS UINT64_C(1000000000)

enum {
    EVENT_STOP = 128, /* PTRACE_EVENT_STOP, which libc's header lacks */
    CALL_STOP = SIGTRAP | 0x80
};

/* How often the threads are listed without finding one more, where the kernel counts differently: a
 * thread that is about to end, or a kernel that counts in another way. */
enum { FRUITLESS_ROUNDS = 8 };

static void has_ended(pi_stop *stop, pi_stop_thread *thread) {
    if (thread->state == PI_STOP_STANDS)
        stop->standing--;
    thread->state = PI_STOP_ENDED;
}

int pi_stop_signal_of(int status) {
    return status >> 16 == 0 && WSTOPSIG(status) != CALL_STOP ? WSTOPSIG(status) : 0;
}

/* The sets as the kernel keeps them for any thread: PTRACE_GETREGSET would give those of 32-bit
 * code, of another size, where a thread of this 64-bit process runs such (Wine does). */
static bool read_general(int32_t tid, struct user_regs_struct *general) {
    return raw_ptrace(PTRACE_GETREGS, tid, 0, (uintptr_t)general) == 0;
}

/* Calls of 32-bit code have numbers of their own; they are left as they are. */
static bool needs_restart(const pi_stop_thread *thread, const struct user_regs_struct *general) {
    struct __ptrace_syscall_info call;
    /* A thread that a signal had stopped before us was interrupted by that. */
    return !thread->in_group_stop && pi_call_needs_restart(general) &&
           raw_ptrace(PTRACE_GET_SYSCALL_INFO, thread->tid, sizeof call, (uintptr_t)&call) > 0 &&
           call.arch == AUDIT_ARCH_X86_64;
}

/* At once, since the helper may be killed before it lets the thread go. *general: its registers,
 * with the call as it was before it was repaired. False where there are none. */
static bool repair_call(pi_stop_thread *thread, struct user_regs_struct *general) {
    if (!read_general(thread->tid, general))
        return false;
    if (thread->needs_restart && general->rax == PI_CALL_RESTARTS) {
        general->rax = (unsigned long long)-EINTR; /* it has told of its stop once more */
        return true;
    }
    thread->needs_restart = needs_restart(thread, general);
    if (thread->needs_restart)
        pi_call_restart(thread->tid);
    return true;
}

static pi_stop_registers *registers_of(const pi_stop *stop, const pi_stop_thread *thread) {
    return &stop->registers[thread - stop->threads];
}

/* What the wait for a thread answered. */
static void take_status(pi_stop *stop, pi_stop_thread *thread, int status) {
    if (!WIFSTOPPED(status)) {
        has_ended(stop, thread);
    } else if (status >> 16 == EVENT_STOP) {
        stop->standing += thread->state != PI_STOP_STANDS;
        thread->state = PI_STOP_STANDS;
        thread->in_group_stop = WSTOPSIG(status) != SIGTRAP;
        if (repair_call(thread, &registers_of(stop, thread)->general))
            thread->has_registers = 1;
    } else {
        /* A signal came first. It is delivered, and the thread stops behind that; the interrupt is
         * asked for again because a stop for another cause may have used up the first. */
        raw_ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
        raw_ptrace(PTRACE_CONT, thread->tid, 0, (uintptr_t)pi_stop_signal_of(status));
    }
}

/*
 * Takes what has happened to any of the threads. Not only to those that are waited for: one may be
 * in execve, which ends the others, and waits until their tracer has heard of that.
 */
static void hear_of_all(pi_stop *stop) {
    uint32_t stood = stop->standing;
    for (uint32_t i = 0; i < stop->count; i++) {
        pi_stop_thread *thread = &stop->threads[i];
        int status;
        if ((thread->state == PI_STOP_SEIZED || thread->state == PI_STOP_STANDS) &&
            raw_wait(thread->tid, &status, __WALL | WNOHANG) == thread->tid)
            take_status(stop, thread, status);
    }
    if (stop->standing != stood)
        stop->last_progress_ns = raw_now_ns();
}

/* Sleeps uninterruptibly, and nothing that moves is left that could wake it. Threads that wait for
 * each other, for their memory map say, get through one by one. */
static bool is_stuck(const pi_stop *stop) {
    if (raw_now_ns() - stop->last_progress_ns < stop->uninterruptible_limit_ns)
        return false;
    for (uint32_t i = 0; i < stop->count; i++)
        if (stop->threads[i].state == PI_STOP_SEIZED &&
            pi_stop_os_state(stop, stop->threads[i].tid) != 'D')
            return false;
    return true;
}

/* A thread that takes its time: has it ended as main threads do, does it sleep uninterruptibly, or
 * does it only wait for a processor? */
static pi_stop_result look_at(pi_stop *stop, pi_stop_thread *thread) {
    if (pi_helper_must_stop(stop->helper))
        return PI_STOP_MUST_END;
    hear_of_all(stop);
    if (thread->state != PI_STOP_SEIZED)
        return PI_STOP_OK;
    bool is_late = raw_now_ns() - stop->pause_begin_ns >= stop->limit_ns;
    char state = pi_stop_os_state(stop, thread->tid);
    if (state == 'Z' || state == 'X') {
        has_ended(stop, thread);
        stop->has_dead_main |= thread->tid == stop->pid;
    } else if (state == 'D' && (is_late || is_stuck(stop))) {
        thread->state = PI_STOP_RUNS;
        stop->running++;
    } else if (is_late) {
        return PI_STOP_TOO_LATE;
    } else {
        /* The first one may have met the thread that had this number before, in execve. */
        raw_ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
    }
    return PI_STOP_OK;
}

static pi_stop_result wait_for(pi_stop *stop, pi_stop_thread *thread) {
    uint64_t next_look_ns = 0;
    while (thread->state == PI_STOP_SEIZED) {
        int status;
        long waited = raw_wait(thread->tid, &status, __WALL | WNOHANG);
        if (waited == thread->tid) {
            take_status(stop, thread, status);
            continue;
        }
        if (waited < 0) {
            has_ended(stop, thread);
            continue;
        }
        /* Any thread's stop ends this wait, so the clock is asked, not the wait. */
        pi_helper_wait_for_child(LOOK_AFTER_NS);
        uint64_t now_ns = raw_now_ns();
        if (next_look_ns == 0)
            next_look_ns = now_ns + LOOK_AFTER_NS;
        if (now_ns < next_look_ns && now_ns - stop->pause_begin_ns < stop->limit_ns)
            continue;
        next_look_ns = now_ns + LOOK_AFTER_NS;
        pi_stop_result result = look_at(stop, thread);
        if (result != PI_STOP_OK)
            return result;
    }
    return PI_STOP_OK;
}

pi_stop_result pi_stop_seize(pi_stop *stop) {
    uint32_t added;
    pi_stop_result result = pi_stop_seize_new(stop, &added);
    if (result == PI_STOP_OK && stop->count == 0)
        return PI_STOP_GONE;
    return result;
}

/* When each thread has been seen to. */
static pi_stop_result outcome_of(const pi_stop *stop) {
    if (stop->standing != 0)
        return PI_STOP_OK;
    return stop->running != 0 ? PI_STOP_TOO_LATE : PI_STOP_GONE;
}

/* Interrupts the threads from `first` on, and waits until each has been seen to. */
static pi_stop_result interrupt_from(pi_stop *stop, uint32_t first) {
    /* All of them first: they then stop while we wait for the first. */
    for (uint32_t i = first; i < stop->count; i++)
        raw_ptrace(PTRACE_INTERRUPT, stop->threads[i].tid, 0, 0);
    for (uint32_t i = first; i < stop->count; i++) {
        pi_stop_result result = wait_for(stop, &stop->threads[i]);
        if (result != PI_STOP_OK)
            return result;
    }
    return PI_STOP_OK;
}

pi_stop_result pi_stop_interrupt(pi_stop *stop) {
    stop->pause_begin_ns = raw_now_ns();
    stop->last_progress_ns = stop->pause_begin_ns;
    uint32_t done = 0;
    int fruitless = 0;
    do {
        pi_stop_result result = interrupt_from(stop, done);
        if (result != PI_STOP_OK)
            return result;
        done = stop->count;
        if (pi_stop_has_all(stop))
            return outcome_of(stop);
        uint32_t added;
        result = pi_stop_seize_new(stop, &added);
        if (result != PI_STOP_OK)
            return result;
        fruitless = added == 0 ? fruitless + 1 : 0;
        if (fruitless == FRUITLESS_ROUNDS)
            return outcome_of(stop);
    } while (raw_now_ns() - stop->pause_begin_ns < stop->limit_ns);
    return PI_STOP_TOO_LATE;
}

pi_stop_result pi_stop_one(pi_stop *stop, int32_t tid) {
    pi_stop_result result = pi_stop_seize_one(stop, tid);
    if (result != PI_STOP_OK)
        return result;
    stop->pause_begin_ns = raw_now_ns();
    stop->last_progress_ns = stop->pause_begin_ns;
    result = interrupt_from(stop, 0);
    return result == PI_STOP_OK ? outcome_of(stop) : result;
}

static bool read_floating(int32_t tid, struct user_fpregs_struct *floating) {
    return raw_ptrace(PTRACE_GETFPREGS, tid, 0, (uintptr_t)floating) == 0;
}

/*
 * Of most threads the general ones are there since they stopped. A thread that was killed since has
 * none left. The main thread may have been replaced, by one that was in execve and now goes by its
 * number: that one is traced, too, and stands by now or is about to.
 */
static bool read_again(pi_stop *stop, pi_stop_thread *thread, pi_stop_registers *registers) {
    bool may_be_another = thread->tid == stop->pid;
    return (!may_be_another || repair_call(thread, &registers->general)) &&
           read_floating(thread->tid, &registers->floating);
}

bool pi_stop_read_registers(pi_stop *stop, pi_stop_thread *thread) {
    pi_stop_registers *registers = registers_of(stop, thread);
    bool read = read_again(stop, thread, registers);
    if (!read) {
        stop->standing--;
        thread->state = PI_STOP_SEIZED;
        read = wait_for(stop, thread) == PI_STOP_OK && thread->state == PI_STOP_STANDS &&
               read_again(stop, thread, registers);
    }
    thread->has_registers = read;
    return read;
}

void pi_stop_read_main_registers(pi_stop *stop) {
    for (uint32_t i = 0; i < stop->count; i++)
        if (stop->threads[i].tid == stop->pid && stop->threads[i].state == PI_STOP_STANDS)
            pi_stop_read_registers(stop, &stop->threads[i]);
}

/* `signal`: which one stopped it on its way to the thread, 0 for none. It is delivered then: the
 * wait that told of it has taken it from the kernel. */
static void release(pi_stop *stop, pi_stop_thread *thread, int signal) {
    stop->restarted_calls += thread->needs_restart;
    raw_ptrace(PTRACE_DETACH, thread->tid, 0, (uintptr_t)signal);
}

static void release_late(pi_stop *stop, pi_stop_thread *thread, int status) {
    thread->has_registers = 0;
    thread->in_group_stop = status >> 16 == EVENT_STOP && WSTOPSIG(status) != SIGTRAP;
    struct user_regs_struct general;
    repair_call(thread, &general);
    release(stop, thread, pi_stop_signal_of(status));
}

void pi_stop_release_late(pi_stop *stop, int32_t tid, int status) {
    pi_stop_thread thread = {tid, PI_STOP_SEIZED, 0, 0, 0};
    release_late(stop, &thread, status);
}

/* Only what stands can be let go of. What doesn't come to stand is released when the helper ends.
 */
void pi_stop_let_go(pi_stop *stop, int32_t tid) {
    pi_stop_thread thread = {tid, PI_STOP_SEIZED, 0, 0, 0};
    uint64_t until_ns = raw_now_ns() + LET_GO_LIMIT_NS;
    long waited;
    raw_ptrace(PTRACE_INTERRUPT, tid, 0, 0);
    do {
        int status;
        waited = raw_wait(tid, &status, __WALL | WNOHANG);
        if (waited == tid && WIFSTOPPED(status))
            release_late(stop, &thread, status);
        else if (waited == 0)
            pi_helper_wait_for_child(LOOK_AFTER_NS / 10);
    } while (waited == 0 && raw_now_ns() < until_ns);
}

void pi_stop_release(pi_stop *stop) {
    for (uint32_t i = 0; i < stop->count; i++)
        if (stop->threads[i].state == PI_STOP_STANDS) {
            release(stop, &stop->threads[i], 0);
            stop->threads[i].state = PI_STOP_RELEASED;
        }
    /* Those that were given up on may stand by now. */
    for (uint32_t i = 0; i < stop->count; i++) {
        pi_stop_thread *thread = &stop->threads[i];
        int status;
        if ((thread->state == PI_STOP_RUNS || thread->state == PI_STOP_SEIZED) &&
            raw_wait(thread->tid, &status, __WALL | WNOHANG) == thread->tid && WIFSTOPPED(status))
            release_late(stop, thread, status);
    }
}
