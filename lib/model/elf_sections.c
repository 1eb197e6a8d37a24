/* SPDX-License-Identifier: MIT */
#include "model/elf.h"

#include <elf.h>
#include <string.h>

enum {
    MAX_SECTIONS = 1024, /* of an executable or shared object; linkers make about 40 */
    MAX_NAME = 32,       /* of those that are looked for, with the NUL */
    MAX_HASHED_TEXT = 4096
};

typedef struct section_header {
    uint32_t name; /* offset in the table of names */
    uint32_t type;
    uint32_t link;
    uint64_t offset;
    uint64_t size;
} section_header;

static bool read_section(const pi_elf *elf, uint32_t index, section_header *found) {
    unsigned char bytes[sizeof(Elf64_Shdr)];
    size_t size = elf->is_64_bit ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
    uint64_t distance = (uint64_t)index * size;
    if (elf->section_headers > UINT64_MAX - distance ||
        !pi_elf_read_at(elf, elf->section_headers + distance, bytes, size))
        return false;
    found->name = pi_elf_u32(bytes);
    found->type = pi_elf_u32(bytes + 4);
    if (elf->is_64_bit) {
        found->offset = pi_elf_u64(bytes + offsetof(Elf64_Shdr, sh_offset));
        found->size = pi_elf_u64(bytes + offsetof(Elf64_Shdr, sh_size));
        found->link = pi_elf_u32(bytes + offsetof(Elf64_Shdr, sh_link));
    } else {
        found->offset = pi_elf_u32(bytes + offsetof(Elf32_Shdr, sh_offset));
        found->size = pi_elf_u32(bytes + offsetof(Elf32_Shdr, sh_size));
        found->link = pi_elf_u32(bytes + offsetof(Elf32_Shdr, sh_link));
    }
    return true;
}

/* Numbers that don't fit the ELF header stand in the first section's. */
static pi_elf_answer section_counts(const pi_elf *elf, uint64_t *count, uint32_t *names) {
    *count = elf->section_count;
    *names = elf->section_names;
    if (*count == 0 || *names == SHN_XINDEX) {
        section_header first;
        if (!read_section(elf, 0, &first))
            return PI_ELF_UNREADABLE;
        if (*count == 0)
            *count = first.size;
        if (*names == SHN_XINDEX)
            *names = first.link;
    }
    if (*count > MAX_SECTIONS || (*count != 0 && *names >= *count))
        return PI_ELF_MALFORMED;
    return *count != 0 && *names != SHN_UNDEF ? PI_ELF_FOUND : PI_ELF_NONE;
}

pi_elf_answer pi_elf_find_section(const pi_elf *elf, const char *name, pi_elf_section *section) {
    size_t name_size = strlen(name) + 1;
    if (elf->source->is_memory || name_size > MAX_NAME)
        return PI_ELF_UNREADABLE;
    if (elf->section_headers == 0)
        return PI_ELF_NONE;
    uint64_t count;
    uint32_t names_index;
    pi_elf_answer answer = section_counts(elf, &count, &names_index);
    if (answer != PI_ELF_FOUND)
        return answer;
    section_header names;
    if (!read_section(elf, names_index, &names))
        return PI_ELF_UNREADABLE;
    for (uint32_t i = 1; i < count; i++) {
        section_header each;
        char found[MAX_NAME];
        if (!read_section(elf, i, &each))
            return PI_ELF_UNREADABLE;
        if (each.type != SHT_PROGBITS || each.name >= names.size ||
            names.size - each.name < name_size || names.offset > UINT64_MAX - each.name)
            continue;
        if (!pi_elf_read_at(elf, names.offset + each.name, found, name_size))
            return PI_ELF_UNREADABLE;
        if (memcmp(found, name, name_size) == 0) {
            *section = (pi_elf_section){each.offset, each.size};
            return PI_ELF_FOUND;
        }
    }
    return PI_ELF_NONE;
}

pi_elf_answer pi_elf_hash_text(const pi_elf *elf, unsigned char hash[PI_ELF_TEXT_HASH]) {
    pi_elf_section text;
    pi_elf_answer answer = pi_elf_find_section(elf, ".text", &text);
    if (answer != PI_ELF_FOUND)
        return answer;
    uint64_t size = text.size < MAX_HASHED_TEXT ? text.size : MAX_HASHED_TEXT;
    memset(hash, 0, PI_ELF_TEXT_HASH);
    for (uint64_t i = 0; i < size; i += PI_ELF_TEXT_HASH) {
        /* Whole groups of 16, also where the section ends within the last: so does Breakpad. */
        unsigned char group[PI_ELF_TEXT_HASH];
        if (text.offset > UINT64_MAX - i ||
            !pi_elf_read_at(elf, text.offset + i, group, sizeof group))
            return PI_ELF_UNREADABLE;
        for (size_t k = 0; k < sizeof group; k++)
            hash[k] ^= group[k];
    }
    return size == 0 ? PI_ELF_NONE : PI_ELF_FOUND;
}
