/* SPDX-License-Identifier: MIT */
#include "platform/linux/trace/helper_memory.h"

/* In instructions, not in C: a compiler would see what the loops are, and call these functions. */

void *pi_helper_memcpy(void *to, const void *from, size_t length) {
    void *at = to;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(length) : : "memory");
    return to;
}

void *pi_helper_memset(void *to, int byte, size_t length) {
    void *at = to;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(length) : "a"(byte) : "memory");
    return to;
}
