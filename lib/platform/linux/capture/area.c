/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/area.h"

#include <stddef.h>

/* 16 for what is none. Which digit comes next can't be foretold, so nothing branches by that. */
static unsigned digit_value(char character) {
    unsigned digit = (unsigned)character - '0', letter = (unsigned)character - 'a';
    unsigned is_digit = digit <= 9, is_letter = letter <= 5;
    return is_digit * digit + is_letter * (letter + 10) + (1 - is_digit - is_letter) * 16;
}

/* A hexadecimal number of at most 64 bits and the character behind it; NULL where they aren't
 * there. */
static const char *read_number(const char *at, const char *end, char terminator, uint64_t *value) {
    const char *begin = at;
    uint64_t number = 0;
    for (; at < end && at - begin < 16 && digit_value(*at) < 16; at++)
        number = number << 4 | digit_value(*at);
    if (at == begin || at == end || *at != terminator)
        return NULL;
    *value = number;
    return at + 1;
}

/* "rw-p " */
static const char *read_permissions(const char *at, const char *end, uint32_t *permissions) {
    static const char letters[] = {'r', 'w', 'x', 's'};
    if (end - at < 5 || at[4] != ' ')
        return NULL;
    *permissions = 0;
    for (unsigned i = 0; i < 4; i++)
        *permissions |= at[i] == letters[i] ? 1u << i : 0;
    return at + 5;
}

/* The inode, which is decimal, as far as it has to be known; and the blanks behind it. */
static const char *pass_inode(const char *at, const char *end, bool *is_file) {
    const char *begin = at;
    *is_file = false;
    for (; at < end && *at >= '0' && *at <= '9'; at++)
        *is_file |= *at != '0';
    if (at == begin)
        return NULL;
    while (at < end && *at == ' ')
        at++;
    return at;
}

static bool begins_with(const char *name, const char *end, const char *prefix) {
    while (*prefix != '\0')
        if (name == end || *name++ != *prefix++)
            return false;
    return true;
}

static bool begins_with_any(const char *name, const char *end, const char *const *prefixes) {
    for (; *prefixes != NULL; prefixes++)
        if (begins_with(name, end, *prefixes))
            return true;
    return false;
}

/*
 * The kernel itself refuses to copy from what it calls device memory (VM_IO, VM_PFNMAP), and tells
 * of no pages in it. Drivers that hand out pages in other ways are known by their names.
 */
static pi_area_kind kind_of(const char *name, const char *end, bool is_file, bool is_shared) {
    static const char *const kernel[] = {"[vvar", "[vsyscall]", "[uprobes]", NULL};
    static const char *const memory[] = {
        "/dev/shm/", "/dev/hugepages/", "/memfd:", "/SYSV", "/anon_hugepage", NULL};
    static const char *const devices[] = {"/dev/",    "/sys/",       "/proc/",
                                          "/dmabuf:", "anon_inode:", NULL};
    if (name == end && !is_file)
        return is_shared ? PI_AREA_SHARED_MEMORY : PI_AREA_ANONYMOUS;
    if (begins_with_any(name, end, kernel))
        return PI_AREA_NEVER_READ;
    if (begins_with(name, end, "[vdso]"))
        return PI_AREA_KERNEL_CODE;
    if (begins_with(name, end, "/dev/zero"))
        return is_shared ? PI_AREA_SHARED_MEMORY : PI_AREA_ANONYMOUS;
    if (begins_with_any(name, end, memory))
        return PI_AREA_SHARED_MEMORY;
    if (begins_with(name, end, "anon_inode:[io_uring]"))
        return PI_AREA_OTHER;
    if (begins_with_any(name, end, devices))
        return PI_AREA_NEVER_READ;
    if (is_file)
        return name < end && *name == '/' ? PI_AREA_FILE : PI_AREA_OTHER;
    return is_shared ? PI_AREA_SHARED_MEMORY : PI_AREA_ANONYMOUS;
}

/* "7f0000000000-7f0000001000 rw-p 00002000 fe:01 1234                     /usr/lib/x.so" */
static bool read_line(const char *at, const char *end, pi_area *area) {
    uint64_t unused;
    uint32_t permissions;
    bool is_file;
    at = read_number(at, end, '-', &area->start);
    at = at == NULL ? NULL : read_number(at, end, ' ', &area->end);
    at = at == NULL ? NULL : read_permissions(at, end, &permissions);
    at = at == NULL ? NULL : read_number(at, end, ' ', &unused); /* the offset */
    at = at == NULL ? NULL : read_number(at, end, ':', &unused); /* the device */
    at = at == NULL ? NULL : read_number(at, end, ' ', &unused);
    at = at == NULL ? NULL : pass_inode(at, end, &is_file);
    if (at == NULL || area->start >= area->end)
        return false;
    area->permissions = permissions;
    area->kind = kind_of(at, end, is_file, (permissions & PI_MAPPING_SHARED) != 0);
    area->has_name = at != end;
    area->is_heap = begins_with(at, end, "[heap]");
    area->is_anonymous_huge = begins_with(at, end, "/anon_hugepage");
    area->is_huge = area->is_anonymous_huge || begins_with(at, end, "/dev/hugepages/");
    return true;
}

bool pi_area_is_unwanted(pi_unwanted *unwanted, const pi_area *area) {
    while (unwanted->next < unwanted->count &&
           unwanted->ranges[unwanted->next].address < area->start)
        unwanted->next++;
    if (unwanted->next == unwanted->count)
        return false;
    const pi_memory_range *range = &unwanted->ranges[unwanted->next];
    return range->address == area->start && range->size_bytes == area->end - area->start;
}

bool pi_area_is_own(const pi_area *area) {
    return area->kind == PI_AREA_ANONYMOUS && (area->permissions & PI_MAPPING_SHARED) == 0;
}

/* Eight characters at a time: whether any of them is one. */
static bool has_line_end(const char *at) {
    const uint64_t lowest = UINT64_C(0x0101010101010101), highest = lowest << 7;
    uint64_t letters;
    __builtin_memcpy(&letters, at, sizeof letters);
    letters ^= lowest * '\n';
    return ((letters - lowest) & ~letters & highest) != 0;
}

static const char *end_of_line(const char *at, const char *end) {
    while (end - at >= 8 && !has_line_end(at))
        at += 8;
    while (at < end && *at != '\n')
        at++;
    return at;
}

bool pi_area_next(const char **text, const char *end, pi_area *area) {
    while (*text < end) {
        const char *line = *text, *line_end = end_of_line(line, end);
        *text = line_end < end ? line_end + 1 : end;
        if (line_end < end && read_line(line, line_end, area))
            return true;
    }
    return false;
}
