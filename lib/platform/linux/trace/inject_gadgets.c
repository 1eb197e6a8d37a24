/* SPDX-License-Identifier: MIT */
#include "platform/linux/trace/inject_gadgets.h"

#include <cpuid.h>
#include <emmintrin.h>
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

/* Each has one of two pairs of bytes in it that are rare in code: syscall, or pop %rax; ret. */
static const struct pattern {
    unsigned char bytes[LONGEST_PATTERN];
    unsigned char length;
    unsigned char pair; /* where it is */
} patterns[PATTERN_COUNT] = {
    {{0x0f, 0x05, 0xc3}, 3, 0},                                     /* syscall; ret */
    {{0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05}, 9, 7}, /* mov $15, %rax; syscall */
    {{0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05}, 7, 5},             /* mov $15, %eax; syscall */
    {{0x58, 0xc3}, 2, 0},                                           /* pop %rax; ret */
};

/* In which order mappings are searched: programs can be large, and libc, which has both, isn't. */
typedef enum search_pass { PASS_NEAR, PASS_LIBC, PASS_REST, PASS_COUNT } search_pass;

static bool is_pattern(const struct pattern *pattern, const unsigned char *at) {
    for (unsigned i = 0; i < pattern->length; i++)
        if (at[i] != pattern->bytes[i])
            return false;
    return true;
}

/* Some code, and where it is in the process. */
typedef struct code_part {
    const unsigned char *bytes;
    size_t length;
    uint64_t address;
} code_part;

static bool has_around(const code_part *code, size_t pair, const struct pattern *pattern) {
    return pair >= pattern->pair && pair - pattern->pair + pattern->length <= code->length &&
           is_pattern(pattern, code->bytes + pair - pattern->pair);
}

/* The first of each is kept. */
static void look_around(pi_inject_gadgets *gadgets, const code_part *code, size_t pair) {
    uint64_t *const found[PATTERN_COUNT] = {&gadgets->call, &gadgets->restorer, &gadgets->restorer,
                                            &gadgets->number};
    for (unsigned i = 0; i < PATTERN_COUNT; i++)
        if (*found[i] == 0 && has_around(code, pair, &patterns[i]))
            *found[i] = code->address + pair - patterns[i].pair;
}

/* A megabyte of libc is looked through before each copy: sixteen bytes at a time. */
static void look_in(pi_inject_gadgets *gadgets, const code_part *code) {
    const __m128i syscall_first = _mm_set1_epi8(0x0f), syscall_second = _mm_set1_epi8(0x05);
    const __m128i pop_first = _mm_set1_epi8(0x58), pop_second = _mm_set1_epi8((char)0xc3);
    size_t at = 0;
    for (; at + sizeof(__m128i) < code->length; at += sizeof(__m128i)) {
        __m128i first = _mm_loadu_si128((const __m128i_u *)(code->bytes + at));
        __m128i second = _mm_loadu_si128((const __m128i_u *)(code->bytes + at + 1));
        __m128i pairs = _mm_or_si128(
            _mm_and_si128(_mm_cmpeq_epi8(first, syscall_first),
                          _mm_cmpeq_epi8(second, syscall_second)),
            _mm_and_si128(_mm_cmpeq_epi8(first, pop_first), _mm_cmpeq_epi8(second, pop_second)));
        for (unsigned left = (unsigned)_mm_movemask_epi8(pairs); left != 0; left &= left - 1)
            look_around(gadgets, code, at + (unsigned)__builtin_ctz(left));
    }
    for (; at < code->length; at++)
        look_around(gadgets, code, at);
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
        look_in(gadgets, &(code_part){search->code, (size_t)got, start});
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
