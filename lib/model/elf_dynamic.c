/* SPDX-License-Identifier: MIT */
#include "model/elf.h"

#include <elf.h>
#include <string.h>

enum {
    MAX_ENTRIES = 4096, /* of a dynamic section; linkers make about 30 */
    ENTRIES_AT_ONCE = 32
};

/* What the dynamic section says about its names. */
typedef struct dynamic_names {
    bool has_soname;
    bool has_table;
    uint64_t soname; /* offset in the table */
    uint64_t table;  /* its address */
    uint64_t table_size;
} dynamic_names;

static const pi_elf_segment *dynamic_segment(const pi_elf *elf) {
    for (uint32_t i = 0; i < elf->segment_count; i++)
        if (elf->segments[i].type == PT_DYNAMIC)
            return &elf->segments[i];
    return NULL;
}

/* True at the section's last entry. */
static bool take_entry(dynamic_names *names, uint64_t tag, uint64_t value) {
    switch (tag) {
    case DT_NULL:
        return true;
    case DT_SONAME:
        names->has_soname = true;
        names->soname = value;
        return false;
    case DT_STRTAB:
        names->has_table = true;
        names->table = value;
        return false;
    case DT_STRSZ:
        names->table_size = value;
        return false;
    default:
        return false;
    }
}

static pi_elf_answer read_entries(const pi_elf *elf, const pi_elf_segment *segment,
                                  dynamic_names *names) {
    size_t word = elf->is_64_bit ? 8 : 4;
    uint64_t count = segment->file_size / (2 * word);
    uint64_t position = pi_elf_segment_position(elf, segment);
    for (uint64_t done = 0; done < count && done < MAX_ENTRIES;) {
        unsigned char bytes[ENTRIES_AT_ONCE * 16];
        uint64_t now = count - done < ENTRIES_AT_ONCE ? count - done : ENTRIES_AT_ONCE;
        if (!pi_elf_read_at(elf, position + done * 2 * word, bytes, (size_t)now * 2 * word))
            return PI_ELF_UNREADABLE;
        for (size_t i = 0; i < now; i++) {
            const unsigned char *entry = bytes + i * 2 * word;
            if (take_entry(names, pi_elf_word(elf, entry), pi_elf_word(elf, entry + word)))
                return PI_ELF_FOUND;
        }
        done += now;
    }
    return count <= MAX_ENTRIES ? PI_ELF_FOUND : PI_ELF_MALFORMED;
}

/* Some loaders write the table's address in memory over the linked one, others leave it. */
static bool table_position(const pi_elf *elf, uint64_t address, uint64_t *position) {
    const pi_elf_source *source = elf->source;
    if (source->is_memory && address >= source->base &&
        address - source->base < source->size_bytes) {
        *position = address - source->base;
        return true;
    }
    return pi_elf_address_position(elf, address, position);
}

pi_elf_answer pi_elf_read_soname(const pi_elf *elf, char *soname) {
    const pi_elf_segment *segment = dynamic_segment(elf);
    if (segment == NULL)
        return PI_ELF_NONE;
    dynamic_names names = {0};
    pi_elf_answer answer = read_entries(elf, segment, &names);
    if (answer != PI_ELF_FOUND)
        return answer;
    if (!names.has_soname)
        return PI_ELF_NONE;
    uint64_t position;
    if (!names.has_table || names.soname >= names.table_size ||
        !table_position(elf, names.table, &position))
        return PI_ELF_MALFORMED;
    /* Near the end of the file there are fewer bytes than the longest name has. */
    size_t length = PI_ELF_MAX_SONAME;
    if (names.table_size - names.soname < length)
        length = (size_t)(names.table_size - names.soname);
    char found[PI_ELF_MAX_SONAME];
    if (!pi_elf_read_at(elf, position + names.soname, found, length))
        return PI_ELF_UNREADABLE;
    const char *end = memchr(found, '\0', length);
    if (end == NULL)
        return PI_ELF_MALFORMED;
    if (end == found)
        return PI_ELF_NONE;
    memcpy(soname, found, (size_t)(end - found) + 1);
    return PI_ELF_FOUND;
}
