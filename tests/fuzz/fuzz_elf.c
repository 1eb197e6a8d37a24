/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "fuzz/fuzz.h"
#include "model/elf_image.h"
#include "model/file_version.h"
#include "model/package_note.h"

typedef struct input {
    const uint8_t *data;
    size_t size;
    size_t reads;
} input;

static size_t read_input(void *user, uint64_t position, void *buffer, size_t length) {
    input *from = user;
    from->reads++;
    if (position >= from->size)
        return 0;
    size_t there = from->size - (size_t)position;
    size_t copied = there < length ? there : length;
    memcpy(buffer, from->data + position, copied);
    return copied;
}

static void read_as(const uint8_t *data, size_t size, bool is_memory) {
    static pi_elf elf;
    input from = {data, size, 0};
    pi_elf_source source = {read_input, &from, is_memory, IMAGE_ADDRESS, size};
    if (pi_elf_open(&elf, &source) != PI_ELF_FOUND)
        return;
    unsigned char build_id[PI_ELF_MAX_BUILD_ID];
    char package[PI_ELF_MAX_PACKAGE], soname[PI_ELF_MAX_SONAME];
    size_t length = 0;
    pi_package_note note;
    if (pi_elf_read_build_id(&elf, build_id, &length) == PI_ELF_FOUND)
        FUZZ_EXPECT(length > 0 && length <= sizeof build_id);
    if (pi_elf_read_package(&elf, package, &length) == PI_ELF_FOUND) {
        FUZZ_EXPECT(length <= sizeof package);
        pi_package_note_parse(package, length, &note);
    }
    if (pi_elf_read_soname(&elf, soname) == PI_ELF_FOUND) {
        FUZZ_EXPECT(memchr(soname, '\0', sizeof soname) != NULL && soname[0] != '\0');
        pi_file_version_of(soname, strlen(soname));
    }
    pi_elf_section section;
    pi_elf_find_section(&elf, ".debug_info", &section);
    unsigned char hash[PI_ELF_TEXT_HASH];
    pi_elf_hash_text(&elf, hash);
    FUZZ_EXPECT(from.reads < 200000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pi_package_note note;
    read_as(data, size, false);
    read_as(data, size, true);
    pi_package_note_parse((const char *)data, size, &note);
    return 0;
}

size_t fuzz_seed(size_t index, uint8_t *buffer, size_t capacity) {
    elf_image image = elf_image_new();
    if (index == 0 && sizeof image <= capacity) {
        memcpy(buffer, &image, sizeof image);
        return sizeof image;
    }
    if (index == 1 && sizeof IMAGE_PACKAGE <= capacity) {
        memcpy(buffer, IMAGE_PACKAGE, sizeof IMAGE_PACKAGE - 1);
        return sizeof IMAGE_PACKAGE - 1;
    }
    return 0;
}
