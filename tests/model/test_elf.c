/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/elf_image.h"

/* Bytes of exactly this length on the heap, so that a sanitizer sees what reads beyond. */
typedef struct bytes_source {
    const unsigned char *bytes;
    size_t length;
    size_t reads;
} bytes_source;

static size_t read_bytes(void *user, uint64_t position, void *buffer, size_t length) {
    bytes_source *source = user;
    source->reads++;
    if (position >= source->length)
        return 0;
    size_t there = source->length - (size_t)position;
    size_t copied = there < length ? there : length;
    memcpy(buffer, source->bytes + position, copied);
    return copied;
}

/* What all readers make of an object. */
typedef struct reading {
    pi_elf_answer opened, build_id, package, soname, debug;
    unsigned char build_id_bytes[PI_ELF_MAX_BUILD_ID];
    size_t build_id_length;
    char package_text[PI_ELF_MAX_PACKAGE];
    size_t package_length;
    char soname_text[PI_ELF_MAX_SONAME];
    uint64_t image_size_bytes;
    size_t reads;
} reading;

static reading read_length(const void *object, size_t length, bool is_memory, uint64_t base) {
    unsigned char *copy = malloc(length == 0 ? 1 : length);
    assert_non_null(copy);
    memcpy(copy, object, length);
    bytes_source bytes = {copy, length, 0};
    pi_elf_source source = {read_bytes, &bytes, is_memory, base, length};
    pi_elf *elf = malloc(sizeof *elf);
    assert_non_null(elf);
    reading result = {0};
    result.opened = pi_elf_open(elf, &source);
    if (result.opened == PI_ELF_FOUND) {
        result.image_size_bytes = elf->image_size_bytes;
        result.build_id = pi_elf_read_build_id(elf, result.build_id_bytes, &result.build_id_length);
        result.package = pi_elf_read_package(elf, result.package_text, &result.package_length);
        result.soname = pi_elf_read_soname(elf, result.soname_text);
        result.debug = pi_elf_find_section(elf, ".debug_info", &(pi_elf_section){0});
        assert_true(result.build_id_length <= PI_ELF_MAX_BUILD_ID);
        assert_true(result.package_length <= PI_ELF_MAX_PACKAGE);
    }
    result.reads = bytes.reads;
    free(elf);
    free(copy);
    return result;
}

static reading read_image(const elf_image *image) {
    return read_length(image, sizeof *image, false, 0);
}

static void assert_complete(const reading *result) {
    assert_int_equal(result->opened, PI_ELF_FOUND);
    assert_int_equal(result->build_id, PI_ELF_FOUND);
    assert_int_equal(result->build_id_length, 20);
    assert_memory_equal(result->build_id_bytes, IMAGE_BUILD_ID, 20);
    assert_int_equal(result->package, PI_ELF_FOUND);
    assert_int_equal(result->package_length, strlen(IMAGE_PACKAGE));
    assert_memory_equal(result->package_text, IMAGE_PACKAGE, strlen(IMAGE_PACKAGE));
    assert_int_equal(result->soname, PI_ELF_FOUND);
    assert_string_equal(result->soname_text, "libtest.so.1");
}

static void reads_a_file(void **state) {
    (void)state;
    elf_image image = elf_image_new();
    reading result = read_image(&image);
    assert_complete(&result);
    assert_int_equal(result.debug, PI_ELF_FOUND);
    assert_int_equal(result.image_size_bytes, sizeof image + 0x3000);
}

static void reads_memory(void **state) {
    (void)state;
    elf_image image = elf_image_new();
    reading result = read_length(&image, sizeof image, true, UINT64_C(0x7f0000000000));
    assert_complete(&result);
    assert_int_equal(result.debug, PI_ELF_UNREADABLE);
    /* As glibc leaves it behind: the address, no longer as linked. */
    image.entries[0].d_un.d_val += UINT64_C(0x7f0000000000) - IMAGE_ADDRESS;
    result = read_length(&image, sizeof image, true, UINT64_C(0x7f0000000000));
    assert_complete(&result);
}

static void tells_what_there_is_none_of(void **state) {
    (void)state;
    elf_image image = elf_image_new();
    image.note.p_type = image.dynamic.p_type = PT_NULL;
    image.sections[2].sh_name = 1;
    reading result = read_image(&image);
    assert_int_equal(result.build_id, PI_ELF_NONE);
    assert_int_equal(result.package, PI_ELF_NONE);
    assert_int_equal(result.soname, PI_ELF_NONE);
    assert_int_equal(result.debug, PI_ELF_NONE);
    image = elf_image_new();
    image.header.e_shoff = 0;
    assert_int_equal(read_image(&image).debug, PI_ELF_NONE);
    image.header.e_phnum = 0;
    assert_int_equal(read_image(&image).build_id, PI_ELF_NONE);
    image = elf_image_new();
    image.entries[2].d_tag = DT_NULL;
    assert_int_equal(read_image(&image).soname, PI_ELF_NONE);
    assert_int_equal(read_length("#!/bin/sh\n", 10, false, 0).opened, PI_ELF_NONE);
    assert_int_equal(read_length("", 0, false, 0).opened, PI_ELF_UNREADABLE);
}

static void refuses_other_kinds(void **state) {
    (void)state;
    elf_image image = elf_image_new();
    image.header.e_ident[EI_DATA] = ELFDATA2MSB;
    assert_int_equal(read_image(&image).opened, PI_ELF_MALFORMED);
    image = elf_image_new();
    image.header.e_ident[EI_CLASS] = 3;
    assert_int_equal(read_image(&image).opened, PI_ELF_MALFORMED);
    image = elf_image_new();
    image.header.e_type = ET_CORE;
    assert_int_equal(read_image(&image).opened, PI_ELF_MALFORMED);
    image = elf_image_new();
    image.header.e_phentsize = 1;
    assert_int_equal(read_image(&image).opened, PI_ELF_MALFORMED);
}

static void reads_32_bit_objects(void **state) {
    (void)state;
    struct {
        Elf32_Ehdr header;
        Elf32_Phdr load, note, dynamic;
        IMAGE_NOTE(20) build_id;
        Elf32_Dyn entries[4];
        char strings[32];
        Elf32_Shdr sections[2];
        char section_names[32];
    } image = {
        .header = {.e_type = ET_DYN,
                   .e_phoff = sizeof(Elf32_Ehdr),
                   .e_phentsize = sizeof(Elf32_Phdr),
                   .e_phnum = 3,
                   .e_shentsize = sizeof(Elf32_Shdr),
                   .e_shnum = 2,
                   .e_shstrndx = 1},
        .load = {.p_type = PT_LOAD, .p_filesz = sizeof image, .p_memsz = 0x5000},
        .note = {.p_type = PT_NOTE, .p_filesz = sizeof image.build_id},
        .dynamic = {.p_type = PT_DYNAMIC, .p_filesz = sizeof image.entries},
        .build_id = {{4, 20, NT_GNU_BUILD_ID}, "GNU", "abcdefghijklmnopqrs"},
        .strings = "\0lib32.so.1",
        .section_names = "\0.debug_info",
        .sections = {{0}, {.sh_type = SHT_PROGBITS, .sh_name = 1, .sh_size = 32}},
    };
    memcpy(image.header.e_ident, ELFMAG, SELFMAG);
    image.header.e_ident[EI_CLASS] = ELFCLASS32;
    image.header.e_ident[EI_DATA] = ELFDATA2LSB;
    const char *begin = (const char *)&image;
    image.header.e_shoff = (Elf32_Off)((const char *)image.sections - begin);
    image.note.p_offset = (Elf32_Off)((const char *)&image.build_id - begin);
    image.dynamic.p_offset = (Elf32_Off)((const char *)image.entries - begin);
    image.sections[1].sh_offset = (Elf32_Off)(image.section_names - begin);
    Elf32_Word strings = (Elf32_Word)(image.strings - begin);
    image.entries[0] = (Elf32_Dyn){DT_STRTAB, {strings}};
    image.entries[1] = (Elf32_Dyn){DT_STRSZ, {32}};
    image.entries[2] = (Elf32_Dyn){DT_SONAME, {1}};
    reading result = read_length(&image, sizeof image, false, 0);
    assert_int_equal(result.opened, PI_ELF_FOUND);
    assert_int_equal(result.build_id_length, 20);
    assert_memory_equal(result.build_id_bytes, "abcdefghijklmnopqrs", 20);
    assert_string_equal(result.soname_text, "lib32.so.1");
    assert_int_equal(result.debug, PI_ELF_FOUND);
    assert_int_equal(result.image_size_bytes, 0x5000);
}

static void a_file_may_end_anywhere(void **state) {
    (void)state;
    elf_image image = elf_image_new();
    for (size_t length = 0; length < sizeof image; length++) {
        reading result = read_length(&image, length, false, 0);
        if (result.opened != PI_ELF_FOUND)
            assert_int_equal(result.opened,
                             length > 0 && length < SELFMAG ? PI_ELF_NONE : PI_ELF_UNREADABLE);
        else if (length < offsetof(elf_image, build_id.content) + 20)
            assert_int_equal(result.build_id, PI_ELF_UNREADABLE);
        else
            assert_memory_equal(result.build_id_bytes, IMAGE_BUILD_ID, 20);
        /* The names' section header is the last thing in it. */
        if (result.opened == PI_ELF_FOUND)
            assert_int_equal(result.debug, PI_ELF_UNREADABLE);
    }
}

static void counts_have_limits(void **state) {
    (void)state;
    elf_image image = elf_image_new();
    image.header.e_phnum = PI_ELF_MAX_SEGMENTS + 1;
    assert_int_equal(read_image(&image).opened, PI_ELF_MALFORMED);
    image.header.e_phnum = 0xffff;
    assert_int_equal(read_image(&image).opened, PI_ELF_MALFORMED);
    image = elf_image_new();
    image.header.e_shnum = 0; /* the count stands in the first section */
    image.sections[0].sh_size = 4;
    assert_int_equal(read_image(&image).debug, PI_ELF_FOUND);
    image.sections[0].sh_size = UINT64_MAX;
    reading result = read_image(&image);
    assert_int_equal(result.debug, PI_ELF_MALFORMED);
    assert_true(result.reads < 10);
    image = elf_image_new();
    image.header.e_shnum = 0xffff;
    assert_int_equal(read_image(&image).debug, PI_ELF_MALFORMED);
    image = elf_image_new();
    image.build_id.header.n_descsz = 21;
    assert_int_not_equal(read_image(&image).package, PI_ELF_FOUND);
    image.build_id.header.n_descsz = PI_ELF_MAX_BUILD_ID + 1;
    assert_int_equal(read_image(&image).build_id, PI_ELF_MALFORMED);
    image.build_id.header.n_descsz = 0;
    assert_int_equal(read_image(&image).build_id, PI_ELF_MALFORMED);
}

/* Segments of notes and of dynamic entries so long that reading them whole would not end. */
static void endless_tables_end(void **state) {
    (void)state;
    enum { LENGTH = 1024 * 1024 };
    unsigned char *file = calloc(1, LENGTH);
    assert_non_null(file);
    elf_image image = elf_image_new();
    image.note.p_offset = sizeof image;
    image.note.p_filesz = UINT64_MAX;
    image.dynamic.p_offset = sizeof image;
    image.dynamic.p_filesz = UINT64_MAX;
    memset(file, 1, LENGTH); /* entries of an unknown tag */
    for (size_t at = sizeof image; at + 16 <= LENGTH; at += 16)
        memset(file + at, 0, 8); /* notes without owner and content */
    memcpy(file, &image, sizeof image);
    reading result = read_length(file, LENGTH, false, 0);
    assert_int_equal(result.opened, PI_ELF_FOUND);
    assert_int_not_equal(result.build_id, PI_ELF_FOUND);
    assert_int_not_equal(result.soname, PI_ELF_FOUND);
    assert_true(result.reads < 2000);
    free(file);
}

static void offsets_may_lead_anywhere(void **state) {
    (void)state;
    static const uint64_t offsets[] = {1,          0x7fffffff,     UINT32_MAX,    INT64_MAX,
                                       UINT64_MAX, UINT64_MAX - 1, IMAGE_ADDRESS, 0x1000};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        uint64_t *places[8];
        for (size_t place = 0; place < 8; place++) {
            elf_image image = elf_image_new();
            places[0] = &image.header.e_phoff, places[1] = &image.header.e_shoff;
            places[2] = &image.note.p_offset, places[3] = &image.dynamic.p_offset;
            places[4] = &image.entries[0].d_un.d_val, places[5] = &image.entries[2].d_un.d_val;
            places[6] = &image.sections[3].sh_offset, places[7] = &image.note.p_vaddr;
            *places[place] = offsets[i];
            reading result = read_image(&image);
            if (place == 0)
                assert_int_not_equal(result.build_id_length, 20);
            if ((place == 4 || place == 5) && offsets[i] != 1)
                assert_string_not_equal(result.soname_text, "libtest.so.1");
            read_length(&image, sizeof image, true, UINT64_MAX - 0x1000);
        }
    }
}

static void a_soname_has_to_end(void **state) {
    (void)state;
    elf_image image = elf_image_new();
    memset(image.strings, 'x', sizeof image.strings);
    assert_int_equal(read_image(&image).soname, PI_ELF_MALFORMED);
    image = elf_image_new();
    image.entries[2].d_un.d_val = sizeof image.strings;
    assert_int_equal(read_image(&image).soname, PI_ELF_MALFORMED);
}

/* The hash of an image whose .text is these bytes of the file. */
static pi_elf_answer hash_of(uint64_t offset, uint64_t size, unsigned char *hash) {
    elf_image image = elf_image_new();
    image.sections[1].sh_offset = offset;
    image.sections[1].sh_size = size;
    bytes_source bytes = {(const unsigned char *)&image, sizeof image, 0};
    pi_elf_source source = {read_bytes, &bytes, false, 0, sizeof image};
    pi_elf elf;
    assert_int_equal(pi_elf_open(&elf, &source), PI_ELF_FOUND);
    return pi_elf_hash_text(&elf, hash);
}

static void hashes_text_in_groups_of_16(void **state) {
    (void)state;
    unsigned char hash[PI_ELF_TEXT_HASH];
    elf_image image = elf_image_new();
    unsigned char expected[PI_ELF_TEXT_HASH] = {0};
    const unsigned char *text = (const unsigned char *)&image.strings;
    for (size_t i = 0; i < 32; i++)
        expected[i % 16] ^= text[i];
    uint64_t offset = offsetof(elf_image, strings);
    assert_int_equal(hash_of(offset, 32, hash), PI_ELF_FOUND);
    assert_memory_equal(hash, expected, sizeof hash);
    assert_int_equal(hash_of(offset, 17, hash), PI_ELF_FOUND); /* the whole of the last group */
    assert_memory_equal(hash, expected, sizeof hash);
    assert_int_equal(hash_of(offset, 16, hash), PI_ELF_FOUND);
    assert_memory_equal(hash, text, sizeof hash);
    assert_int_equal(hash_of(offset, 0, hash), PI_ELF_NONE);
    assert_int_equal(hash_of(sizeof image - 8, 16, hash), PI_ELF_UNREADABLE);
    assert_int_equal(hash_of(UINT64_MAX - 16, 4096, hash), PI_ELF_UNREADABLE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_file),
        cmocka_unit_test(reads_memory),
        cmocka_unit_test(tells_what_there_is_none_of),
        cmocka_unit_test(refuses_other_kinds),
        cmocka_unit_test(reads_32_bit_objects),
        cmocka_unit_test(a_file_may_end_anywhere),
        cmocka_unit_test(counts_have_limits),
        cmocka_unit_test(endless_tables_end),
        cmocka_unit_test(offsets_may_lead_anywhere),
        cmocka_unit_test(a_soname_has_to_end),
        cmocka_unit_test(hashes_text_in_groups_of_16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
