/* SPDX-License-Identifier: MIT */
#include "platform/linux/trace/inject_gadgets.h"

#include <cpuid.h>
#include <sys/uio.h>

#include "platform/linux/capture/area.h"
#include "platform/linux/trace/helper_system_call.h"

/*
 * What is looked for in the code that the process has mapped: a system call that returns at once,
 * and the call of rt_sigreturn to which libc lets its signal handlers return. A static program that
 * handles no signal may not have that one; what loads a number from the stack is in any program, if
 * only as the end of a longer instruction.
 */
enum { MOST_CODE_BYTES = 64 * 1024 * 1024, LONGEST_PATTERN = 9 };
enum { PATTERN_CALL, PATTERN_RESTORER, PATTERN_SHORT_RESTORER, PATTERN_NUMBER, PATTERN_COUNT };

static const struct pattern {
    unsigned char bytes[LONGEST_PATTERN];
    unsigned char length;
} patterns[PATTERN_COUNT] = {
    {{0x0f, 0x05, 0xc3}, 3},                                     /* syscall; ret */
    {{0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05}, 9}, /* mov $15, %rax; syscall */
    {{0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05}, 7},             /* mov $15, %eax; syscall */
    {{0x58, 0xc3}, 2},                                           /* pop %rax; ret */
};

/* In which order mappings are searched: programs can be large, and libc, which has both, isn't. */
typedef enum search_pass { PASS_NEAR, PASS_LIBC, PASS_REST, PASS_COUNT } search_pass;

static bool is_pattern(const struct pattern *pattern, const unsigned char *at) {
    for (unsigned i = 0; i < pattern->length; i++)
        if (at[i] != pattern->bytes[i])
            return false;
    return true;
}

static bool is_restorer(const unsigned char *at) {
    return is_pattern(&patterns[PATTERN_RESTORER], at) ||
           is_pattern(&patterns[PATTERN_SHORT_RESTORER], at);
}

static void look_in(pi_inject_gadgets *gadgets, const unsigned char *code, size_t length,
                    uint64_t address) {
    for (size_t i = 0; i + LONGEST_PATTERN <= length; i++) {
        if (code[i] != 0x0f && code[i] != 0x48 && code[i] != 0xb8 && code[i] != 0x58)
            continue;
        if (gadgets->call == 0 && is_pattern(&patterns[PATTERN_CALL], code + i))
            gadgets->call = address + i;
        if (gadgets->restorer == 0 && is_restorer(code + i))
            gadgets->restorer = address + i;
        if (gadgets->number == 0 && is_pattern(&patterns[PATTERN_NUMBER], code + i))
            gadgets->number = address + i;
    }
}

/* Nothing better is to be found. */
static bool are_best(const pi_inject_gadgets *gadgets) {
    return gadgets->call != 0 && gadgets->restorer != 0;
}

static bool suffice(const pi_inject_gadgets *gadgets) {
    return gadgets->call != 0 && (gadgets->restorer != 0 || gadgets->number != 0);
}

static long read_code(int32_t pid, uint64_t address, void *code, size_t length) {
    struct iovec here = {code, length}, there = {(void *)(uintptr_t)address, length};
    return raw_call6(SYS_process_vm_readv, pid, (long)&here, 1, (long)&there, 1, 0);
}

/* How many bytes it has read. */
static size_t search_mapping(const pi_inject_search *search, pi_inject_gadgets *gadgets,
                             const pi_area *area, size_t most) {
    size_t done = 0;
    uint64_t start = area->start;
    while (start < area->end && done < most && !are_best(gadgets)) {
        size_t length = area->end - start < search->code_capacity ? (size_t)(area->end - start)
                                                                  : search->code_capacity;
        long got = read_code(search->pid, start, search->code, length);
        if (got < LONGEST_PATTERN)
            break;
        look_in(gadgets, search->code, (size_t)got, start);
        done += (size_t)got;
        /* A pattern can lie across the end of what was read. */
        start += (size_t)got < length || start + length == area->end
                     ? area->end - start
                     : (uint64_t)got - LONGEST_PATTERN;
    }
    return done;
}

/* "/libc", which musl's has, too, in the line that ends at `end`. */
static bool names_libc(const char *line, const char *end) {
    static const char name[] = "/libc";
    for (; end - line >= (long)sizeof name - 1; line++) {
        size_t same = 0;
        while (name[same] != '\0' && line[same] == name[same])
            same++;
        if (name[same] == '\0')
            return true;
    }
    return false;
}

static search_pass pass_of(const pi_inject_search *search, const pi_area *area, const char *line,
                           const char *end) {
    if (search->near >= area->start && search->near < area->end)
        return PASS_NEAR;
    return names_libc(line, end) ? PASS_LIBC : PASS_REST;
}

/* Which bytes XSAVE writes, from the processor: their places differ between makes. */
static void read_vector_form(pi_inject_gadgets *gadgets) {
    enum {
        LEAF_FEATURES = 1,
        LEAF_XSAVE = 13,
        HAS_OSXSAVE = 1 << 27,
        IS_DYNAMIC = 1 << 2, /* has room only once it is used */
        LEGACY_FEATURES = 3,
        LEGACY_BYTES = 512 + 64
    };
    uint32_t a, b, c, d, low, high;
    gadgets->plain_features = LEGACY_FEATURES;
    gadgets->plain_bytes = LEGACY_BYTES;
    __cpuid_count(LEAF_FEATURES, 0, a, b, c, d);
    if ((c & HAS_OSXSAVE) == 0)
        return;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    uint64_t enabled = (uint64_t)high << 32 | low;
    for (unsigned i = 2; i < 63; i++) {
        if ((enabled >> i & 1) == 0)
            continue;
        __cpuid_count(LEAF_XSAVE, i, a, b, c, d);
        if ((c & IS_DYNAMIC) != 0)
            continue;
        gadgets->plain_features |= UINT64_C(1) << i;
        if (a + b > gadgets->plain_bytes)
            gadgets->plain_bytes = a + b;
    }
}

bool pi_inject_find_gadgets(const pi_inject_search *search, pi_inject_gadgets *gadgets) {
    const char *end = search->maps + search->maps_length;
    size_t left = MOST_CODE_BYTES;
    *gadgets = (pi_inject_gadgets){0};
    read_vector_form(gadgets);
    for (unsigned pass = 0; pass < PASS_COUNT; pass++) {
        const char *at = search->maps, *line = at;
        pi_area area;
        for (; left > 0 && !are_best(gadgets) && pi_area_next(&at, end, &area); line = at) {
            bool is_code = (area.permissions & PI_MAPPING_READ) != 0 &&
                           (area.permissions & PI_MAPPING_EXECUTE) != 0 &&
                           area.kind != PI_AREA_NEVER_READ;
            if (!is_code || pass_of(search, &area, line, at) != pass)
                continue;
            size_t done = search_mapping(search, gadgets, &area, left);
            left -= done < left ? done : left;
        }
    }
    return suffice(gadgets);
}

static bool has_pattern(int32_t pid, uint64_t address, const struct pattern *pattern) {
    unsigned char code[LONGEST_PATTERN];
    return read_code(pid, address, code, pattern->length) == pattern->length &&
           is_pattern(pattern, code);
}

bool pi_inject_has_gadgets(int32_t pid, const pi_inject_gadgets *gadgets) {
    if (!suffice(gadgets) || !has_pattern(pid, gadgets->call, &patterns[PATTERN_CALL]))
        return false;
    if (gadgets->restorer == 0)
        return has_pattern(pid, gadgets->number, &patterns[PATTERN_NUMBER]);
    return has_pattern(pid, gadgets->restorer, &patterns[PATTERN_RESTORER]) ||
           has_pattern(pid, gadgets->restorer, &patterns[PATTERN_SHORT_RESTORER]);
}
