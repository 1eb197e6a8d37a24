/* SPDX-License-Identifier: MIT */
#include "model/elf.h"

#include <elf.h>
#include <string.h>

uint16_t pi_elf_u16(const unsigned char *bytes) {
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

uint32_t pi_elf_u32(const unsigned char *bytes) {
    return pi_elf_u16(bytes) | (uint32_t)pi_elf_u16(bytes + 2) << 16;
}

uint64_t pi_elf_u64(const unsigned char *bytes) {
    return pi_elf_u32(bytes) | (uint64_t)pi_elf_u32(bytes + 4) << 32;
}

uint64_t pi_elf_word(const pi_elf *elf, const unsigned char *bytes) {
    return elf->is_64_bit ? pi_elf_u64(bytes) : pi_elf_u32(bytes);
}

bool pi_elf_read_at(const pi_elf *elf, uint64_t position, void *buffer, size_t length) {
    if (length <= elf->head_length && position <= elf->head_length - length) {
        memcpy(buffer, elf->head + position, length);
        return true;
    }
    if (position > UINT64_MAX - length)
        return false;
    return elf->source->read(elf->source->user, position, buffer, length) == length;
}

uint64_t pi_elf_segment_position(const pi_elf *elf, const pi_elf_segment *segment) {
    /* Unsigned arithmetic wraps: a segment below the header leads nowhere readable. */
    return elf->source->is_memory ? segment->address - elf->header_address : segment->offset;
}

bool pi_elf_address_position(const pi_elf *elf, uint64_t address, uint64_t *position) {
    for (uint32_t i = 0; i < elf->segment_count; i++) {
        const pi_elf_segment *segment = &elf->segments[i];
        if (segment->type != PT_LOAD || address < segment->address ||
            address - segment->address >= segment->file_size)
            continue;
        *position = pi_elf_segment_position(elf, segment) + (address - segment->address);
        return true;
    }
    return false;
}

static pi_elf_segment segment_of(const pi_elf *elf, const unsigned char *bytes) {
    if (elf->is_64_bit)
        return (pi_elf_segment){
            .type = pi_elf_u32(bytes + offsetof(Elf64_Phdr, p_type)),
            .offset = pi_elf_u64(bytes + offsetof(Elf64_Phdr, p_offset)),
            .address = pi_elf_u64(bytes + offsetof(Elf64_Phdr, p_vaddr)),
            .file_size = pi_elf_u64(bytes + offsetof(Elf64_Phdr, p_filesz)),
            .memory_size = pi_elf_u64(bytes + offsetof(Elf64_Phdr, p_memsz)),
            .alignment = pi_elf_u64(bytes + offsetof(Elf64_Phdr, p_align)),
        };
    return (pi_elf_segment){
        .type = pi_elf_u32(bytes + offsetof(Elf32_Phdr, p_type)),
        .offset = pi_elf_u32(bytes + offsetof(Elf32_Phdr, p_offset)),
        .address = pi_elf_u32(bytes + offsetof(Elf32_Phdr, p_vaddr)),
        .file_size = pi_elf_u32(bytes + offsetof(Elf32_Phdr, p_filesz)),
        .memory_size = pi_elf_u32(bytes + offsetof(Elf32_Phdr, p_memsz)),
        .alignment = pi_elf_u32(bytes + offsetof(Elf32_Phdr, p_align)),
    };
}

/* The segments that lead anywhere, and from them where the header and the image's end stand. */
static pi_elf_answer read_segments(pi_elf *elf, uint64_t offset, uint32_t count) {
    size_t size = elf->is_64_bit ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    uint64_t first = UINT64_MAX, end = 0;
    elf->header_address = UINT64_MAX;
    if (count > PI_ELF_MAX_SEGMENTS)
        return PI_ELF_MALFORMED;
    for (uint32_t i = 0; i < count; i++) {
        unsigned char bytes[sizeof(Elf64_Phdr)];
        if (offset > UINT64_MAX - i * size)
            return PI_ELF_MALFORMED;
        if (!pi_elf_read_at(elf, offset + i * size, bytes, size))
            return PI_ELF_UNREADABLE;
        pi_elf_segment segment = segment_of(elf, bytes);
        elf->segments[elf->segment_count++] = segment;
        if (segment.type != PT_LOAD)
            continue;
        if (segment.address > UINT64_MAX - segment.memory_size)
            return PI_ELF_MALFORMED;
        if (segment.address < first) {
            first = segment.address;
            /* The header is linked at the segment that begins with the file's first page. */
            elf->header_address = segment.address - segment.offset;
        }
        if (segment.address + segment.memory_size > end)
            end = segment.address + segment.memory_size;
    }
    if (first == UINT64_MAX)
        elf->header_address = 0;
    else if (end > elf->header_address)
        elf->image_size_bytes = end - elf->header_address;
    return PI_ELF_FOUND;
}

static pi_elf_answer read_header(pi_elf *elf, uint64_t *segments, uint16_t *segment_count) {
    const unsigned char *head = elf->head;
    uint16_t segment_size, section_size;
    elf->type = pi_elf_u16(head + offsetof(Elf64_Ehdr, e_type));
    elf->machine = pi_elf_u16(head + offsetof(Elf64_Ehdr, e_machine));
    if (elf->is_64_bit) {
        *segments = pi_elf_u64(head + offsetof(Elf64_Ehdr, e_phoff));
        *segment_count = pi_elf_u16(head + offsetof(Elf64_Ehdr, e_phnum));
        segment_size = pi_elf_u16(head + offsetof(Elf64_Ehdr, e_phentsize));
        elf->section_headers = pi_elf_u64(head + offsetof(Elf64_Ehdr, e_shoff));
        elf->section_count = pi_elf_u16(head + offsetof(Elf64_Ehdr, e_shnum));
        elf->section_names = pi_elf_u16(head + offsetof(Elf64_Ehdr, e_shstrndx));
        section_size = pi_elf_u16(head + offsetof(Elf64_Ehdr, e_shentsize));
    } else {
        *segments = pi_elf_u32(head + offsetof(Elf32_Ehdr, e_phoff));
        *segment_count = pi_elf_u16(head + offsetof(Elf32_Ehdr, e_phnum));
        segment_size = pi_elf_u16(head + offsetof(Elf32_Ehdr, e_phentsize));
        elf->section_headers = pi_elf_u32(head + offsetof(Elf32_Ehdr, e_shoff));
        elf->section_count = pi_elf_u16(head + offsetof(Elf32_Ehdr, e_shnum));
        elf->section_names = pi_elf_u16(head + offsetof(Elf32_Ehdr, e_shstrndx));
        section_size = pi_elf_u16(head + offsetof(Elf32_Ehdr, e_shentsize));
    }
    bool sizes_fit = (*segment_count == 0 ||
                      segment_size == (elf->is_64_bit ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr))) &&
                     (elf->section_headers == 0 ||
                      section_size == (elf->is_64_bit ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)));
    if ((elf->type != ET_EXEC && elf->type != ET_DYN) || !sizes_fit)
        return PI_ELF_MALFORMED;
    return PI_ELF_FOUND;
}

pi_elf_answer pi_elf_open(pi_elf *elf, const pi_elf_source *source) {
    /* Not the whole of it: it is large, and the rest is written before it is read. */
    memset(elf, 0, offsetof(pi_elf, segments));
    elf->source = source;
    elf->head_length = source->read(source->user, 0, elf->head, sizeof elf->head);
    if (elf->head_length == 0)
        return PI_ELF_UNREADABLE;
    if (elf->head_length < SELFMAG || memcmp(elf->head, ELFMAG, SELFMAG) != 0)
        return PI_ELF_NONE;
    if (elf->head_length < sizeof(Elf64_Ehdr))
        return PI_ELF_UNREADABLE;
    unsigned char class = elf->head[EI_CLASS];
    if ((class != ELFCLASS64 && class != ELFCLASS32) || elf->head[EI_DATA] != ELFDATA2LSB)
        return PI_ELF_MALFORMED;
    elf->is_64_bit = class == ELFCLASS64;
    uint64_t segments = 0;
    uint16_t segment_count = 0;
    pi_elf_answer answer = read_header(elf, &segments, &segment_count);
    return answer == PI_ELF_FOUND ? read_segments(elf, segments, segment_count) : answer;
}
