/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "platform/linux/helper_system_call.h"
#include "platform/linux/kill_frame.h"
#include "platform/linux/stop.h"

/*
 * What is looked for in the code that the process has mapped: a system call that returns at once,
 * and the call of rt_sigreturn to which libc lets its signal handlers return.
 */
enum { MOST_CODE_BYTES = 16 * 1024 * 1024, RED_ZONE_BYTES = 128, FPSTATE_ALIGNMENT = 64 };
enum { LONGEST_PATTERN = 9, PATTERN_COUNT = 3 };

static const struct pattern {
    unsigned char bytes[LONGEST_PATTERN];
    unsigned char length;
} patterns[PATTERN_COUNT] = {
    {{0x0f, 0x05, 0xc3}, 3},                                     /* syscall; ret */
    {{0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05}, 9}, /* mov $15, %rax; syscall */
    {{0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05}, 7},             /* mov $15, %eax; syscall */
};

/* What the kernel reads in rt_sigreturn: struct rt_sigframe up to the signal mask. */
typedef struct frame {
    uint64_t restorer;
    uint64_t flags, link;
    uint64_t stack_address, stack_flags, stack_size;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, trap, old_mask, cr2;
    uint64_t fpstate;
    uint64_t reserved[8];
    uint64_t mask;
} frame;

/* UC_SIGCONTEXT_SS and UC_STRICT_RESTORE_SS. */
enum { SEGMENTS_AS_SAID = 2 | 4 };
/* Flags that no alternative signal stack has: it is left as it is. */
enum { NO_STACK_FLAGS = 0x7ead };

static bool is_pattern(const struct pattern *pattern, const unsigned char *at) {
    for (unsigned i = 0; i < pattern->length; i++)
        if (at[i] != pattern->bytes[i])
            return false;
    return true;
}

static void look_in(pi_kill_gadgets *gadgets, const unsigned char *code, size_t length,
                    uint64_t address) {
    for (size_t i = 0; i + LONGEST_PATTERN <= length; i++) {
        if (code[i] != 0x0f && code[i] != 0x48 && code[i] != 0xb8)
            continue;
        if (gadgets->call == 0 && is_pattern(&patterns[0], code + i))
            gadgets->call = address + i;
        if (gadgets->restorer == 0 &&
            (is_pattern(&patterns[1], code + i) || is_pattern(&patterns[2], code + i)))
            gadgets->restorer = address + i;
    }
}

static bool are_complete(const pi_kill_gadgets *gadgets) {
    return gadgets->call != 0 && gadgets->restorer != 0;
}

/* How many bytes it has read. */
static size_t search_mapping(pi_kill_tree *tree, pi_kill_gadgets *gadgets, uint64_t start,
                             uint64_t end, size_t most) {
    size_t done = 0;
    while (start < end && done < most && !are_complete(gadgets)) {
        size_t length = end - start < sizeof tree->code ? (size_t)(end - start) : sizeof tree->code;
        struct iovec here = {tree->code, length}, there = {(void *)(uintptr_t)start, length};
        long got =
            raw_call6(SYS_process_vm_readv, tree->root_pid, (long)&here, 1, (long)&there, 1, 0);
        if (got < LONGEST_PATTERN)
            break;
        look_in(gadgets, tree->code, (size_t)got, start);
        done += (size_t)got;
        /* A pattern can lie across the end of what was read. */
        start += (size_t)got < length || start + length == end ? end - start
                                                               : (uint64_t)got - LONGEST_PATTERN;
    }
    return done;
}

static unsigned hex_digit(char character) {
    if (character >= '0' && character <= '9')
        return (unsigned)(character - '0');
    if (character >= 'a' && character <= 'f')
        return (unsigned)(character - 'a') + 10;
    return 16;
}

static const char *read_hex(const char *at, const char *end, uint64_t *value) {
    for (*value = 0; at < end && hex_digit(*at) < 16; at++)
        *value = *value << 4 | hex_digit(*at);
    return at;
}

/* Takes the next executable mapping from the text of maps; false at its end. */
static bool next_code(const char **at, const char *end, uint64_t *start, uint64_t *stop) {
    while (*at < end) {
        const char *line = read_hex(*at, end, start);
        line = read_hex(line + 1, end, stop); /* behind the '-' */
        bool is_code = end - line > 4 && line[1] == 'r' && line[3] == 'x';
        while (line < end && *line != '\n')
            line++;
        *at = line + 1;
        if (is_code)
            return true;
    }
    return false;
}

bool pi_kill_find_gadgets(pi_kill_tree *tree, uint64_t instruction, pi_kill_gadgets *gadgets) {
    long length = pi_kill_read_file(tree, tree->root_pid, "/maps", tree->maps, sizeof tree->maps);
    const char *end = tree->maps + (length > 0 ? length : 0);
    size_t left = MOST_CODE_BYTES;
    uint64_t start, stop;
    *gadgets = (pi_kill_gadgets){0, 0};
    /* The code in which the thread stands first: libc's, where it waits for something. */
    for (int pass = 0; pass < 2; pass++)
        for (const char *at = tree->maps;
             left > 0 && !are_complete(gadgets) && next_code(&at, end, &start, &stop);)
            if ((instruction >= start && instruction < stop) == (pass == 0))
                left -= search_mapping(tree, gadgets, start, stop, left);
    return are_complete(gadgets);
}

/* A call that would be restarted is begun anew: rt_sigreturn leaves nothing for the kernel to do.
 */
static void take_restart(frame *pushed, const struct user_regs_struct *registers) {
    enum { FIRST_RESTART = 512, LAST_RESTART = 516 };
    long result = (long)registers->rax;
    if ((long)registers->orig_rax < 0 || !((result <= -FIRST_RESTART && result >= -LAST_RESTART) ||
                                           pi_call_needs_restart(registers)))
        return;
    pushed->rax = registers->orig_rax;
    pushed->rip -= 2; /* the length of the instruction */
}

uint64_t pi_kill_push_frame(int32_t pid, int32_t tid, const pi_kill_gadgets *gadgets,
                            const struct user_regs_struct *registers, uint64_t mask) {
    struct user_fpregs_struct floating;
    if (raw_ptrace(PTRACE_GETFPREGS, tid, 0, (uintptr_t)&floating) != 0)
        return 0;
    for (unsigned i = 0; i < sizeof floating.padding / sizeof floating.padding[0]; i++)
        floating.padding[i] = 0; /* no XSAVE area behind it */
    uint64_t fpstate =
        (registers->rsp - RED_ZONE_BYTES - sizeof floating) & ~(uint64_t)(FPSTATE_ALIGNMENT - 1);
    uint64_t address = (fpstate - sizeof(frame)) & ~UINT64_C(15);
    frame pushed = {.restorer = gadgets->restorer,
                    .flags = SEGMENTS_AS_SAID,
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
                    .fpstate = fpstate,
                    .mask = mask};
    take_restart(&pushed, registers);
    struct iovec here[] = {{&pushed, sizeof pushed}, {&floating, sizeof floating}};
    struct iovec there[] = {{(void *)(uintptr_t)address, sizeof pushed},
                            {(void *)(uintptr_t)fpstate, sizeof floating}};
    long wanted = (long)(sizeof pushed + sizeof floating);
    return raw_call6(SYS_process_vm_writev, pid, (long)here, 2, (long)there, 2, 0) == wanted
               ? address
               : 0;
}
