/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_TRACE_HELPER_SYSTEM_CALL_H
#define PI_PLATFORM_LINUX_TRACE_HELPER_SYSTEM_CALL_H

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

/*
 * System calls for the helper process. It shares the host's memory, and the host's threads may
 * stand still while they hold any lock of libc; its thread-local storage is a host thread's. So
 * nothing of libc is called there: no errno (results are negative errnos), no lazy binding, no
 * canary.
 */

#if !defined(__x86_64__)
#error "stopping processes is written for x86-64; meson.build leaves these files out elsewhere"
#endif

/* As getdents64 writes it. */
typedef struct raw_directory_entry {
    uint64_t inode;
    int64_t next;
    uint16_t length;
    uint8_t type;
    char name[];
} raw_directory_entry;

static inline long raw_call6(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static inline long raw_call(long number, long a, long b, long c, long d) {
    return raw_call6(number, a, b, c, d, 0, 0);
}

/*
 * Starts a process that runs entry(argument) on the stack below stack_top, which is aligned to 16
 * bytes; entry never returns. *lives is what CLONE_CHILD_CLEARTID clears. Its pid, or a negative
 * errno.
 */
static inline long raw_clone(unsigned long flags, void *stack_top, int *pidfd, void *lives,
                             void (*entry)(void *), void *argument) {
    register void *r10 __asm__("r10") = lives;
    register void (*r8)(void *) __asm__("r8") = entry;
    register void *r9 __asm__("r9") = argument;
    long result;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r9, %%rdi\n\t"
                     "call *%%r8\n\t"
                     "ud2\n"
                     "1:"
                     : "=a"(result)
                     : "a"((long)SYS_clone), "D"(flags), "S"(stack_top), "d"(pidfd), "r"(r10),
                       "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static inline long raw_ptrace(long request, int32_t tid, uintptr_t address, uintptr_t data) {
    return raw_call(SYS_ptrace, request, tid, (long)address, (long)data);
}

static inline long raw_wait(int32_t tid, int *status, int options) {
    return raw_call(SYS_wait4, tid, (long)status, options, 0);
}

static inline long raw_open(int directory, const char *path, int flags) {
    return raw_call(SYS_openat, directory, (long)path, flags, 0);
}

static inline long raw_read(int descriptor, void *buffer, unsigned long capacity) {
    return raw_call(SYS_read, descriptor, (long)buffer, (long)capacity, 0);
}

static inline void raw_close(int descriptor) {
    raw_call(SYS_close, descriptor, 0, 0, 0);
}

static inline uint64_t raw_now_ns(void) {
    struct timespec now = {0};
    raw_call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
