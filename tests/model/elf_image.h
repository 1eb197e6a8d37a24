/* SPDX-License-Identifier: MIT */
#ifndef TESTS_MODEL_ELF_IMAGE_H
#define TESTS_MODEL_ELF_IMAGE_H

#include <elf.h>
#include <string.h>

#include "model/elf.h"

/*
 * A shared object made by hand, every part where a test can spoil it. Linked at IMAGE_ADDRESS, its
 * one PT_LOAD maps all of it, as a file and as memory alike.
 */
#define IMAGE_ADDRESS UINT64_C(0x400000)
#define IMAGE_BUILD_ID                                                                             \
    "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\xff\x00\xfe\x14"
#define IMAGE_PACKAGE "{\"type\":\"deb\",\"name\":\"libtest1\",\"version\":\"1:2.3-4\"}"

#define IMAGE_NOTE(size)                                                                           \
    struct {                                                                                       \
        Elf64_Nhdr header;                                                                         \
        char owner[4];                                                                             \
        char content[size];                                                                        \
    }

typedef struct elf_image {
    Elf64_Ehdr header;
    Elf64_Phdr load, note, dynamic;
    IMAGE_NOTE(16) other;
    IMAGE_NOTE(20) build_id;
    IMAGE_NOTE(64) package;
    Elf64_Dyn entries[4];
    char strings[32];
    char section_names[64];
    Elf64_Shdr sections[4];
} elf_image;

static inline elf_image elf_image_new(void) {
    elf_image image = {
        .header = {.e_type = ET_DYN,
                   .e_machine = EM_X86_64,
                   .e_version = EV_CURRENT,
                   .e_phoff = offsetof(elf_image, load),
                   .e_shoff = offsetof(elf_image, sections),
                   .e_ehsize = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 3,
                   .e_shentsize = sizeof(Elf64_Shdr),
                   .e_shnum = 4,
                   .e_shstrndx = 3},
        .load = {.p_type = PT_LOAD,
                 .p_vaddr = IMAGE_ADDRESS,
                 .p_filesz = sizeof image,
                 .p_memsz = sizeof image + 0x3000},
        .note = {.p_type = PT_NOTE,
                 .p_offset = offsetof(elf_image, other),
                 .p_vaddr = IMAGE_ADDRESS + offsetof(elf_image, other),
                 .p_filesz = offsetof(elf_image, entries) - offsetof(elf_image, other),
                 .p_align = 4},
        .dynamic = {.p_type = PT_DYNAMIC,
                    .p_offset = offsetof(elf_image, entries),
                    .p_vaddr = IMAGE_ADDRESS + offsetof(elf_image, entries),
                    .p_filesz = sizeof image.entries},
        .other = {{4, 16, NT_GNU_ABI_TAG}, "GNU", "0123456789abcde"},
        .build_id = {{4, 20, NT_GNU_BUILD_ID}, "GNU", ""},
        .package = {{4, 64, UINT32_C(0xcafe1a7e)}, "FDO", IMAGE_PACKAGE},
        .entries = {{DT_STRTAB, {IMAGE_ADDRESS + offsetof(elf_image, strings)}},
                    {DT_STRSZ, {sizeof image.strings}},
                    {DT_SONAME, {1}},
                    {DT_NULL, {0}}},
        .strings = "\0libtest.so.1",
        .section_names = "\0.text\0.debug_info\0.shstrtab",
        .sections = {{.sh_type = SHT_NULL},
                     {.sh_type = SHT_PROGBITS, .sh_name = 1},
                     {.sh_type = SHT_PROGBITS, .sh_name = 7},
                     {.sh_type = SHT_STRTAB,
                      .sh_name = 19,
                      .sh_offset = offsetof(elf_image, section_names),
                      .sh_size = sizeof image.section_names}},
    };
    memcpy(image.header.e_ident, ELFMAG, SELFMAG);
    image.header.e_ident[EI_CLASS] = ELFCLASS64;
    image.header.e_ident[EI_DATA] = ELFDATA2LSB;
    memcpy(image.build_id.content, IMAGE_BUILD_ID, 20);
    return image;
}

#endif
