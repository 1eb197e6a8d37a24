/* SPDX-License-Identifier: MIT */
#ifndef PI_MODEL_ELF_H
#define PI_MODEL_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A reader of ELF executables and shared objects, little-endian, 32 and 64 bits: of a file, or of
 * the image that a process has mapped of one. Everything in an object is hostile: each count and
 * size has a limit, each offset may lead anywhere, and nothing is read but through the source. No
 * allocation.
 */

/*
 * Where the object's bytes come from. Copies what there is of `length` bytes from `position` on and
 * returns how many: fewer at the end, or where reading failed. The position is the offset in the
 * file, or the distance from the ELF header in memory.
 */
typedef struct pi_elf_source {
    size_t (*read)(void *user, uint64_t position, void *buffer, size_t length);
    void *user;
    bool is_memory;      /* a mapped image: no section headers */
    uint64_t base;       /* is_memory: the address of the ELF header; a loader writes such addresses
                            into the dynamic section */
    uint64_t size_bytes; /* is_memory: the extent of the mappings */
} pi_elf_source;

typedef struct pi_elf_segment {
    uint32_t type;
    uint64_t offset;
    uint64_t address; /* as linked */
    uint64_t file_size;
    uint64_t memory_size;
    uint64_t alignment;
} pi_elf_segment;

enum {
    PI_ELF_HEAD_SIZE = 4096,
    PI_ELF_MAX_SEGMENTS = 128, /* the linkers at hand make up to 20 */
    PI_ELF_MAX_BUILD_ID = 64,
    PI_ELF_MAX_PACKAGE = 4096,
    PI_ELF_MAX_SONAME = 256
};

typedef struct pi_elf {
    const pi_elf_source *source;
    bool is_64_bit;
    uint16_t type; /* ET_EXEC or ET_DYN */
    uint16_t machine;
    /* Where the ELF header stands as linked, and how far the loaded image reaches from there. */
    uint64_t header_address;
    uint64_t image_size_bytes;
    uint64_t section_headers; /* offset in the file, 0 for none */
    uint32_t section_count;   /* as the header has it */
    uint32_t section_names;
    uint32_t segment_count;
    pi_elf_segment segments[PI_ELF_MAX_SEGMENTS];
    /* The first bytes, read once: the headers, and mostly the notes. */
    size_t head_length;
    unsigned char head[PI_ELF_HEAD_SIZE];
} pi_elf;

typedef enum pi_elf_answer {
    PI_ELF_FOUND,
    PI_ELF_NONE,      /* the object has none; from pi_elf_open: this is no ELF object */
    PI_ELF_MALFORMED, /* it contradicts itself, exceeds a limit, or isn't of a kind known here */
    PI_ELF_UNREADABLE /* the source ended early, or failed */
} pi_elf_answer;

/* Reads the headers. The source must live as long as the elf. */
pi_elf_answer pi_elf_open(pi_elf *elf, const pi_elf_source *source);

/* The GNU build id; up to PI_ELF_MAX_BUILD_ID bytes. */
pi_elf_answer pi_elf_read_build_id(const pi_elf *elf, unsigned char *build_id, size_t *length);

/* The text of the package note, JSON; up to PI_ELF_MAX_PACKAGE bytes. */
pi_elf_answer pi_elf_read_package(const pi_elf *elf, char *text, size_t *length);

/* DT_SONAME, terminated; up to PI_ELF_MAX_SONAME bytes with its NUL. */
pi_elf_answer pi_elf_read_soname(const pi_elf *elf, char *soname);

/* Where the bytes of a section are in the file. */
typedef struct pi_elf_section {
    uint64_t offset;
    uint64_t size;
} pi_elf_section;

/* The section of this name, or NONE. Of files only. */
pi_elf_answer pi_elf_find_section(const pi_elf *elf, const char *name, pi_elf_section *section);

/* What stands in for a build id where there is none (procinspect_module_info.text_hash); NONE
 * without a .text section. Of files only. */
enum { PI_ELF_TEXT_HASH = 16 };
pi_elf_answer pi_elf_hash_text(const pi_elf *elf, unsigned char hash[PI_ELF_TEXT_HASH]);

/* For the parts of the reader: all of these bytes, or false. */
bool pi_elf_read_at(const pi_elf *elf, uint64_t position, void *buffer, size_t length);

/* Where the bytes of a segment stand for the source, and where those of a linked address do. */
uint64_t pi_elf_segment_position(const pi_elf *elf, const pi_elf_segment *segment);
bool pi_elf_address_position(const pi_elf *elf, uint64_t address, uint64_t *position);

/* Little-endian numbers, aligned or not. */
uint16_t pi_elf_u16(const unsigned char *bytes);
uint32_t pi_elf_u32(const unsigned char *bytes);
uint64_t pi_elf_u64(const unsigned char *bytes);
/* An address, offset or size: 4 or 8 bytes. */
uint64_t pi_elf_word(const pi_elf *elf, const unsigned char *bytes);

#endif
