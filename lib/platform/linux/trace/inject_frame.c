/* SPDX-License-Identifier: MIT */
#include "platform/linux/trace/inject_frame.h"

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "platform/linux/trace/helper_memory.h"
#include "platform/linux/trace/helper_system_call.h"

enum {
    RED_ZONE_BYTES = 128,
    VECTOR_ALIGNMENT = 64,
    FRAME_ALIGNMENT = 16,
    CALL_INSTRUCTION_BYTES = 2
};

/* What the kernel reads in rt_sigreturn: struct rt_sigframe up to the signal mask. Before it stands
 * what leads there in a program that has no code for that: its number is loaded, and it is called.
 */
typedef struct signal_frame {
    uint64_t load_number, number;
    uint64_t restorer;
    uint64_t flags, link;
    uint64_t stack_address, stack_flags, stack_size;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, trap, old_mask, cr2;
    uint64_t vectors;
    uint64_t reserved[8];
    uint64_t mask;
} signal_frame;

/* UC_FP_XSTATE, UC_SIGCONTEXT_SS and UC_STRICT_RESTORE_SS. */
enum { HAS_VECTORS = 1, SEGMENTS_AS_SAID = 2 | 4 };
/* Flags that no alternative signal stack has: it is left as it is. */
enum { NO_STACK_FLAGS = 0x7ead };

/* At the end of the FXSAVE part: what is behind it. */
typedef struct software_bytes {
    uint32_t magic;
    uint32_t extended_bytes; /* with the magic number at the end */
    uint64_t features;
    uint32_t bytes;
    uint32_t padding[7];
} software_bytes;

enum {
    LEGACY_BYTES = 512,
    SOFTWARE_AT = 464,
    USED_FEATURES_AT = 512, /* the header of the rest: XSTATE_BV */
    XSAVE_LEAST_BYTES = 512 + 64,
    END_MAGIC_BYTES = 4
};
#define XSAVE_MAGIC UINT32_C(0x46505853)     /* FP_XSTATE_MAGIC1 */
#define XSAVE_END_MAGIC UINT32_C(0x46505845) /* FP_XSTATE_MAGIC2 */
#define PROTECTION_KEYS (UINT64_C(1) << 9)

/* The vector registers as a signal frame has them, and behind that the end's magic number. */
typedef struct vector_area {
    size_t bytes; /* 0: they couldn't be had */
    unsigned char data[PI_INJECT_FRAME_MOST_BYTES] __attribute__((aligned(VECTOR_ALIGNMENT)));
} vector_area;

/* As ptrace gives it, with what signal frames have besides. */
static void take_vectors(const pi_inject_gadgets *gadgets, size_t given_bytes, vector_area *area) {
    uint64_t *used = (uint64_t *)(void *)(area->data + USED_FEATURES_AT);
    software_bytes *software = (software_bytes *)(void *)(area->data + SOFTWARE_AT);
    uint64_t features = gadgets->plain_features;
    size_t bytes = gadgets->plain_bytes;
    if ((*used & ~features) != 0) { /* it uses such that have got their room */
        features |= *used;
        bytes = given_bytes;
    }
    if (bytes > given_bytes || bytes + END_MAGIC_BYTES > sizeof area->data)
        return;
    /* The value is there in any case; where it isn't said to be, it would become 0. */
    *used |= features & PROTECTION_KEYS;
    *software = (software_bytes){.magic = XSAVE_MAGIC,
                                 .extended_bytes = (uint32_t)bytes + END_MAGIC_BYTES,
                                 .features = features,
                                 .bytes = (uint32_t)bytes};
    *(uint32_t *)(void *)(area->data + bytes) = XSAVE_END_MAGIC;
    area->bytes = bytes + END_MAGIC_BYTES;
}

static void read_vectors(int32_t tid, const pi_inject_gadgets *gadgets, vector_area *area) {
    struct iovec whole = {area->data, sizeof area->data};
    area->bytes = 0;
    if (raw_ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, (uintptr_t)&whole) == 0 &&
        whole.iov_len >= XSAVE_LEAST_BYTES) {
        /* Filled up, there may be more. */
        if (whole.iov_len < sizeof area->data)
            take_vectors(gadgets, whole.iov_len, area);
    } else if (raw_ptrace(PTRACE_GETFPREGS, tid, 0, (uintptr_t)area->data) == 0) {
        /* A processor that has no more than these. */
        pi_helper_memset(area->data + SOFTWARE_AT, 0, LEGACY_BYTES - SOFTWARE_AT);
        area->bytes = LEGACY_BYTES;
    }
}

bool pi_inject_is_restarted(const struct user_regs_struct *registers) {
    enum { FIRST_RESTART = 512, LAST_RESTART = 516 };
    long result = (long)registers->rax;
    return (long)registers->orig_rax >= 0 && result <= -FIRST_RESTART && result >= -LAST_RESTART;
}

/* The kernel forgets in rt_sigreturn how restart_syscall is to go on. The call itself can be begun
 * anew: its arguments are still there, and its number is what the code before it has loaded. */
long pi_inject_restarted_call(int32_t pid, const struct user_regs_struct *registers) {
    enum { LOAD_BYTES = 5, LOAD_EAX = 0xb8 };
    unsigned char load[LOAD_BYTES] = {0};
    if (registers->orig_rax != SYS_restart_syscall)
        return (long)registers->orig_rax;
    uint64_t address = registers->rip - CALL_INSTRUCTION_BYTES - LOAD_BYTES;
    struct iovec here = {load, sizeof load}, there = {(void *)(uintptr_t)address, sizeof load};
    long got = raw_call6(SYS_process_vm_readv, pid, (long)&here, 1, (long)&there, 1, 0);
    if (got != LOAD_BYTES || load[0] != LOAD_EAX || load[3] != 0 || load[4] != 0)
        return -1;
    return load[1] | load[2] << 8;
}

/* A call that would be restarted is begun anew: rt_sigreturn leaves nothing for the kernel to do.
 */
static void take_restart(const pi_inject_origin *origin, signal_frame *frame) {
    const struct user_regs_struct *registers = origin->registers;
    if (!pi_inject_is_restarted(registers) && !origin->repairs_call)
        return;
    long number = pi_inject_restarted_call(origin->pid, registers);
    frame->rax = number >= 0 ? (uint64_t)number : registers->orig_rax;
    frame->rip -= CALL_INSTRUCTION_BYTES;
}

static signal_frame frame_of(const pi_inject_origin *origin, uint64_t vectors) {
    const struct user_regs_struct *registers = origin->registers;
    const pi_inject_gadgets *gadgets = origin->gadgets;
    signal_frame frame = {.load_number = gadgets->number,
                          .number = SYS_rt_sigreturn,
                          .restorer = gadgets->restorer != 0 ? gadgets->restorer : gadgets->call,
                          .flags = HAS_VECTORS | SEGMENTS_AS_SAID,
                          .stack_flags = NO_STACK_FLAGS,
                          .r8 = registers->r8,
                          .r9 = registers->r9,
                          .r10 = registers->r10,
                          .r11 = registers->r11,
                          .r12 = registers->r12,
                          .r13 = registers->r13,
                          .r14 = registers->r14,
                          .r15 = registers->r15,
                          .rdi = registers->rdi,
                          .rsi = registers->rsi,
                          .rbp = registers->rbp,
                          .rbx = registers->rbx,
                          .rdx = registers->rdx,
                          .rax = registers->rax,
                          .rcx = registers->rcx,
                          .rsp = registers->rsp,
                          .rip = registers->rip,
                          .rflags = registers->eflags,
                          .cs = (uint16_t)registers->cs,
                          .ss = (uint16_t)registers->ss,
                          .vectors = vectors,
                          .mask = origin->mask};
    take_restart(origin, &frame);
    return frame;
}

/* Exit, with all signals blocked and no vector registers. */
static signal_frame child_frame_of(const signal_frame *parent, const pi_inject_gadgets *gadgets) {
    signal_frame frame = *parent;
    frame.rax = SYS_exit_group;
    frame.rdi = PI_INJECT_ORPHAN_STATUS;
    frame.rip = gadgets->call;
    frame.vectors = 0;
    frame.mask = UINT64_MAX;
    return frame;
}

static bool save(int32_t pid, pi_inject_frame *frame) {
    struct iovec here = {frame->saved, frame->saved_bytes};
    struct iovec there = {(void *)(uintptr_t)frame->saved_address, frame->saved_bytes};
    return raw_call6(SYS_process_vm_readv, pid, (long)&here, 1, (long)&there, 1, 0) ==
           (long)frame->saved_bytes;
}

static bool write_frames(const pi_inject_origin *origin, const pi_inject_frame *frame,
                         vector_area *area, uint64_t vectors) {
    struct {
        signal_frame child, parent;
    } frames;
    frames.parent = frame_of(origin, vectors);
    frames.child = child_frame_of(&frames.parent, origin->gadgets);
    struct iovec here[] = {{&frames, sizeof frames}, {area->data, area->bytes}};
    struct iovec there[] = {{(void *)(uintptr_t)frame->saved_address, sizeof frames},
                            {(void *)(uintptr_t)vectors, area->bytes}};
    return raw_call6(SYS_process_vm_writev, origin->pid, (long)here, 2, (long)there, 2, 0) ==
           (long)(sizeof frames + area->bytes);
}

bool pi_inject_push_frame(const pi_inject_origin *origin, pi_inject_frame *frame) {
    vector_area area;
    read_vectors(origin->tid, origin->gadgets, &area);
    uint64_t top = origin->registers->rsp - RED_ZONE_BYTES;
    uint64_t vectors = (top - area.bytes) & ~(uint64_t)(VECTOR_ALIGNMENT - 1);
    uint64_t parent = (vectors - sizeof(signal_frame)) & ~(uint64_t)(FRAME_ALIGNMENT - 1);
    size_t begin = origin->gadgets->restorer != 0 ? offsetof(signal_frame, restorer) : 0;
    frame->saved_address = parent - sizeof(signal_frame);
    frame->address = parent + begin;
    frame->child_address = frame->saved_address + begin;
    frame->call_address = parent + offsetof(signal_frame, flags);
    frame->saved_bytes = (size_t)(top - frame->saved_address);
    if (area.bytes == 0 || frame->saved_bytes > sizeof frame->saved ||
        frame->saved_address < origin->lowest)
        return false;
    /* A stack that grows does so for whom the kernel takes for its thread, a tracer that is. */
    uint64_t word;
    raw_ptrace(PTRACE_PEEKDATA, origin->tid, frame->saved_address & ~UINT64_C(7), (uintptr_t)&word);
    if (!save(origin->pid, frame))
        return false;
    if (write_frames(origin, frame, &area, vectors))
        return true;
    pi_inject_pop_frame(origin->pid, frame);
    return false;
}

void pi_inject_pop_frame(int32_t pid, const pi_inject_frame *frame) {
    struct iovec here = {(void *)(uintptr_t)frame->saved, frame->saved_bytes};
    struct iovec there = {(void *)(uintptr_t)frame->saved_address, frame->saved_bytes};
    raw_call6(SYS_process_vm_writev, pid, (long)&here, 1, (long)&there, 1, 0);
}
