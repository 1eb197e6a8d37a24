/* SPDX-License-Identifier: MIT */
/* A program without a library, whose code no thread could be led into: none that calls the kernel
 * returns. It unmaps the vDSO, which has such, says "ready" and waits to be killed. */
#include <elf.h>
#include <sys/syscall.h>

enum { VDSO_BYTES = 2 * 4096 };

static inline __attribute__((always_inline)) long call(long number, long first, long second,
                                                       long third) {
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third)
                     : "rcx", "r11", "memory");
    return result;
}

/* The stack as the kernel hands it over: count of arguments, these, environment, auxiliary vector.
 */
__attribute__((noreturn, used)) static void run(const long *stack) {
    static const char ready[] = "ready\n";
    const long *at = stack + stack[0] + 2;
    while (*at++ != 0)
        continue;
    for (; at[0] != AT_NULL; at += 2)
        if (at[0] == AT_SYSINFO_EHDR)
            call(SYS_munmap, at[1], VDSO_BYTES, 0);
    call(SYS_write, 1, (long)ready, sizeof ready - 1);
    for (;;)
        call(SYS_pause, 0, 0, 0);
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall run\n");
