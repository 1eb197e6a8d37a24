/* SPDX-License-Identifier: MIT */
#include "model/elf.h"

#include <elf.h>
#include <string.h>

enum {
    MAX_NOTES = 256,  /* looked at in one segment */
    HEADER_SIZE = 12, /* three words: length of the owner's name and of the content, type */
    OWNER_SIZE = 4    /* three letters and a NUL, of those we look for */
};

typedef struct note_kind {
    char owner[OWNER_SIZE];
    uint32_t type;
    size_t max_length;
} note_kind;

static const note_kind build_id_kind = {"GNU", NT_GNU_BUILD_ID, PI_ELF_MAX_BUILD_ID};
static const note_kind package_kind = {"FDO", UINT32_C(0xcafe1a7e), PI_ELF_MAX_PACKAGE};

static uint64_t align_up(uint64_t value, uint64_t alignment) {
    return (value + alignment - 1) & ~(alignment - 1);
}

static pi_elf_answer read_content(const pi_elf *elf, uint64_t position, uint32_t size,
                                  const note_kind *kind, void *content, size_t *length) {
    if (size == 0 || size > kind->max_length)
        return PI_ELF_MALFORMED;
    if (!pi_elf_read_at(elf, position, content, size))
        return PI_ELF_UNREADABLE;
    *length = size;
    return PI_ELF_FOUND;
}

static pi_elf_answer search_segment(const pi_elf *elf, const pi_elf_segment *segment,
                                    const note_kind *kind, void *content, size_t *length) {
    uint64_t alignment = segment->alignment == 8 ? 8 : 4;
    uint64_t position = pi_elf_segment_position(elf, segment);
    uint64_t left = segment->file_size;
    for (unsigned count = 0; left >= HEADER_SIZE + OWNER_SIZE; count++) {
        unsigned char header[HEADER_SIZE + OWNER_SIZE];
        if (count == MAX_NOTES)
            return PI_ELF_MALFORMED;
        if (!pi_elf_read_at(elf, position, header, sizeof header))
            return PI_ELF_UNREADABLE;
        uint32_t owner_size = pi_elf_u32(header);
        uint32_t content_size = pi_elf_u32(header + 4);
        uint32_t type = pi_elf_u32(header + 8);
        uint64_t content_begin = align_up(HEADER_SIZE + (uint64_t)owner_size, alignment);
        if (content_begin > left || content_size > left - content_begin)
            return PI_ELF_MALFORMED;
        if (type == kind->type && owner_size == OWNER_SIZE &&
            memcmp(header + HEADER_SIZE, kind->owner, OWNER_SIZE) == 0)
            return read_content(elf, position + content_begin, content_size, kind, content, length);
        uint64_t size = align_up(content_begin + content_size, alignment);
        if (size >= left)
            break;
        position += size;
        left -= size;
    }
    return PI_ELF_NONE;
}

/* The first one counts; what is wrong with other segments matters where there is none. */
static pi_elf_answer search(const pi_elf *elf, const note_kind *kind, void *content,
                            size_t *length) {
    pi_elf_answer answer = PI_ELF_NONE;
    for (uint32_t i = 0; i < elf->segment_count; i++) {
        const pi_elf_segment *segment = &elf->segments[i];
        if (segment->type != PT_NOTE)
            continue;
        pi_elf_answer found = search_segment(elf, segment, kind, content, length);
        if (found == PI_ELF_FOUND)
            return found;
        if (found != PI_ELF_NONE)
            answer = found;
    }
    return answer;
}

pi_elf_answer pi_elf_read_build_id(const pi_elf *elf, unsigned char *build_id, size_t *length) {
    return search(elf, &build_id_kind, build_id, length);
}

pi_elf_answer pi_elf_read_package(const pi_elf *elf, char *text, size_t *length) {
    pi_elf_answer answer = search(elf, &package_kind, text, length);
    if (answer != PI_ELF_FOUND)
        return answer;
    /* The text ends at its NUL, which padding may follow. */
    const char *end = memchr(text, '\0', *length);
    if (end != NULL)
        *length = (size_t)(end - text);
    return PI_ELF_FOUND;
}
