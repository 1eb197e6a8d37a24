/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/fork_thread.h"

#include <errno.h>
#include <linux/audit.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "platform/linux/capture/area.h"
#include "platform/linux/trace/helper_system_call.h"
#include "platform/linux/trace/stop_threads.h"

enum {
    USER_CODE_SEGMENT = 0x33,        /* 64-bit code */
    STACK_GUARD_BYTES = 1024 * 1024, /* what the kernel keeps free below a stack that grows */
    GET_USER_DISPATCH = 0x4211,      /* PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, of newer headers */
    GET_RSEQ = 0x420f,               /* PTRACE_GET_RSEQ_CONFIGURATION */
    FEATURES_BYTES = 128,
    LINK_BYTES = 64
};

/* As the kernel's headers have them. */
typedef struct rseq_configuration {
    uint64_t address;
    uint32_t size, signature, flags, padding;
} rseq_configuration;

typedef struct rseq_section {
    uint32_t version, flags;
    uint64_t start, length, abort;
} rseq_section;

/* Their restart sets the mask again, from an argument. */
static bool has_own_mask(const struct user_regs_struct *registers) {
    switch (registers->orig_rax) {
    case SYS_rt_sigsuspend:
        return true;
    case SYS_ppoll:
        return registers->r10 != 0;
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
        return registers->r8 != 0;
    case SYS_pselect6:
    case SYS_io_pgetevents:
        return registers->r9 != 0;
    default:
        return false;
    }
}

static pi_fork_place place_of(const pi_fork *fork, uint32_t index) {
    const struct user_regs_struct *registers = &fork->stop->registers[index].general;
    if ((long)registers->orig_rax < 0)
        return PI_FORK_IN_CODE;
    if (!pi_inject_is_restarted(registers) && !fork->stop->threads[index].needs_restart)
        return PI_FORK_BEHIND_CALL;
    return has_own_mask(registers) || pi_inject_restarted_call(fork->stop->pid, registers) < 0
               ? PI_FORK_IN_ODD_CALL
               : PI_FORK_IN_CALL;
}

static bool may_serve(const pi_fork *fork, uint32_t index) {
    const pi_stop_thread *thread = &fork->stop->threads[index];
    return thread->state == PI_STOP_STANDS && thread->has_registers &&
           fork->stop->registers[index].general.cs == USER_CODE_SEGMENT;
}

/* Lower is better. Whose stack isn't sure comes behind those in or behind calls whose stack is. */
static unsigned rank_of(const pi_fork_candidate *candidate) {
    static const unsigned ranks[][2] = {
        [PI_FORK_IN_CALL] = {2, 0},
        [PI_FORK_BEHIND_CALL] = {3, 1},
        [PI_FORK_IN_CODE] = {5, 4},
        [PI_FORK_IN_ODD_CALL] = {7, 6},
    };
    return ranks[candidate->place][candidate->has_sure_stack];
}

/* Puts it behind those that are no worse; the last one falls out where there is no room. */
static uint32_t insert(pi_fork_candidate *candidates, uint32_t count, pi_fork_candidate added) {
    uint32_t at = count;
    if (count == PI_FORK_MOST_CANDIDATES && rank_of(&candidates[--at]) <= rank_of(&added))
        return count;
    for (; at > 0 && rank_of(&candidates[at - 1]) > rank_of(&added); at--)
        candidates[at] = candidates[at - 1];
    candidates[at] = added;
    return count < PI_FORK_MOST_CANDIDATES ? count + 1 : count;
}

static bool is_stack(const pi_area *area) {
    const uint32_t needed = PI_MAPPING_READ | PI_MAPPING_WRITE;
    return (area->permissions & (needed | PI_MAPPING_SHARED)) == needed;
}

static bool ends_with_stack(const char *line, const char *end) {
    static const char name[] = "[stack]\n";
    const long length = sizeof name - 1;
    if (end - line < length)
        return false;
    for (long i = 0; i < length; i++)
        if (end[i - length] != name[i])
            return false;
    return true;
}

/* How far down frames may go: the main thread's stack grows, unless something lies below. */
static uint64_t lowest_of(const pi_area *area, const pi_area *below, bool is_main_stack) {
    bool has_room = area->start - below->end >= STACK_GUARD_BYTES + PI_INJECT_FRAME_MOST_BYTES;
    return is_main_stack && has_room ? area->start - PI_INJECT_FRAME_MOST_BYTES : area->start;
}

/* One pass over the mappings, which can be many: where the stack of each candidate ends. */
static void find_stacks(const pi_fork *fork, pi_fork_candidate *candidates, uint32_t count) {
    const char *at = fork->maps, *line = at, *end = at + fork->maps_length;
    pi_area area, below = {0};
    for (; pi_area_next(&at, end, &area); below = area, line = at) {
        bool is_main_stack = ends_with_stack(line, at);
        bool is_sure =
            is_main_stack || (below.end == area.start && below.permissions == 0 && below.end != 0);
        for (uint32_t i = 0; i < count && is_stack(&area); i++) {
            uint64_t pointer = fork->stop->registers[candidates[i].index].general.rsp;
            if (pointer <= area.start || pointer > area.end)
                continue;
            candidates[i].stack_lowest = lowest_of(&area, &below, is_main_stack);
            candidates[i].has_sure_stack = is_sure;
        }
    }
}

uint32_t pi_fork_choose(const pi_fork *fork,
                        pi_fork_candidate candidates[PI_FORK_MOST_CANDIDATES]) {
    pi_fork_candidate found[PI_FORK_MOST_CANDIDATES];
    uint32_t found_count = 0, count = 0;
    for (uint32_t i = 0; i < fork->stop->count; i++)
        if (may_serve(fork, i))
            found_count = insert(found, found_count,
                                 (pi_fork_candidate){.index = i, .place = place_of(fork, i)});
    find_stacks(fork, found, found_count);
    for (uint32_t i = 0; i < found_count; i++)
        if (found[i].stack_lowest != 0)
            count = insert(candidates, count, found[i]);
    return count;
}

static bool read_memory(int32_t pid, uint64_t address, void *data, size_t length) {
    struct iovec here = {data, length}, there = {(void *)(uintptr_t)address, length};
    return raw_call6(SYS_process_vm_readv, pid, (long)&here, 1, (long)&there, 1, 0) == (long)length;
}

/* Where the kernel finds it in a restartable sequence, it sends it back to the beginning; it would
 * not find that while the thread has our registers. */
static bool is_in_sequence(const pi_fork *fork, int32_t tid, uint64_t instruction) {
    enum { SECTION_AT = 8 };
    rseq_configuration configuration = {0};
    rseq_section section;
    uint64_t address;
    if (raw_ptrace(GET_RSEQ, tid, sizeof configuration, (uintptr_t)&configuration) < 0)
        return true; /* that isn't known */
    if (configuration.address == 0)
        return false;
    if (!read_memory(fork->stop->pid, configuration.address + SECTION_AT, &address, sizeof address))
        return true;
    if (address == 0)
        return false;
    return !read_memory(fork->stop->pid, address, &section, sizeof section) ||
           instruction - section.start < section.length;
}

/* Features are named in a line of few words; a kernel or machine without any has no such line. */
static bool has_shadow_stack(const pi_fork *fork, int32_t tid) {
    static const char name[] = "shstk";
    char words[FEATURES_BYTES];
    long length =
        pi_stop_find_status_value(fork->stop, tid, "x86_Thread_features", words, sizeof words);
    for (long at = 0; at < length; at++) {
        long same = 0;
        while (name[same] != '\0' && at + same < length && words[at + same] == name[same])
            same++;
        if (name[same] == '\0')
            return true;
    }
    return false;
}

static bool has_user_dispatch(int32_t tid) {
    uint64_t dispatch[4] = {0};
    return raw_ptrace(GET_USER_DISPATCH, tid, sizeof dispatch, (uintptr_t)dispatch) == 0 &&
           dispatch[0] != 0;
}

/* Its calls are those of 64-bit code, also where that calls as 32-bit code does. */
static bool calls_as_64_bit(int32_t tid) {
    struct __ptrace_syscall_info call = {0};
    return raw_ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof call, (uintptr_t)&call) > 0 &&
           call.arch == AUDIT_ARCH_X86_64;
}

/* The first child in a process's new namespace is its init, with whose end nothing more can be
 * forked into that. */
static bool has_namespace_for_children(const pi_fork *fork, int32_t tid) {
    char own[LINK_BYTES], childrens[LINK_BYTES];
    long length = pi_stop_read_thread_link(fork->stop, tid, "ns/pid", own, sizeof own);
    long other = pi_stop_read_thread_link(fork->stop, tid, "ns/pid_for_children", childrens,
                                          sizeof childrens);
    if (length < 0) /* a kernel without namespaces */
        return other >= 0;
    bool is_same = length == other;
    for (long i = 0; is_same && i < length; i++)
        is_same = own[i] == childrens[i];
    return !is_same;
}

/* A filter is put aside; where that isn't permitted the call isn't made. */
static pi_fork_result set_options(int32_t tid, bool has_filter, uintptr_t *options) {
    *options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE;
    if (has_filter)
        *options |= PTRACE_O_SUSPEND_SECCOMP;
    if (raw_ptrace(PTRACE_SETOPTIONS, tid, 0, *options) == 0)
        return PI_FORK_DONE;
    return has_filter ? PI_FORK_SECCOMP : PI_FORK_GONE;
}

pi_fork_result pi_fork_check_thread(const pi_fork *fork, const pi_fork_candidate *candidate,
                                    uintptr_t *options) {
    char filter;
    int32_t tid = fork->stop->threads[candidate->index].tid;
    const struct user_regs_struct *registers = &fork->stop->registers[candidate->index].general;
    long length = pi_stop_find_status_value(fork->stop, tid, "Seccomp", &filter, 1);
    bool knows_none = length == -ENODATA; /* a kernel without filters */
    if (length != 1 && !knows_none)
        return PI_FORK_NO_THREAD;
    if (has_shadow_stack(fork, tid))
        return PI_FORK_SHADOW_STACK;
    if (has_user_dispatch(tid))
        return PI_FORK_USER_DISPATCH;
    if (has_namespace_for_children(fork, tid))
        return PI_FORK_PID_NAMESPACE;
    if (!calls_as_64_bit(tid) ||
        (candidate->place == PI_FORK_IN_CODE && is_in_sequence(fork, tid, registers->rip)))
        return PI_FORK_NO_THREAD;
    return set_options(tid, !knows_none && filter != '0', options);
}

void pi_fork_borrow(const pi_fork *fork, const pi_fork_candidate *candidate, pi_inject *inject) {
    const pi_stop_thread *thread = &fork->stop->threads[candidate->index];
    inject->origin =
        (pi_inject_origin){.pid = fork->stop->pid,
                           .tid = thread->tid,
                           .gadgets = &fork->gadgets,
                           .registers = &fork->stop->registers[candidate->index].general,
                           .lowest = candidate->stack_lowest,
                           .repairs_call = thread->needs_restart};
    inject->has_no_frame = false;
    inject->deadline_ns = fork->deadline_ns;
    inject->wait = pi_helper_wait_for_child;
}
