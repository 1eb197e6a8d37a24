/* SPDX-License-Identifier: MIT */
#include "laid_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

unsigned char fake_byte(uint64_t address) {
    return (unsigned char)((address * 0x9e3779b97f4a7c15u) >> 56);
}

static int32_t read_fake(const pi_memory_source *source, uint64_t address, void *buffer,
                         size_t length, procinspect_error *error) {
    fake_memory *memory = (fake_memory *)(uintptr_t)source;
    if (memory->reads_left == 0)
        return pi_error_set(error, PROCINSPECT_ERROR_IO, 5, "The copy is gone.");
    if (memory->reads_left > 0)
        memory->reads_left--;
    for (size_t i = 0; i < length; i++)
        ((unsigned char *)buffer)[i] = fake_byte(address + i);
    return PROCINSPECT_OK;
}

void fake_memory_init(fake_memory *memory) {
    *memory = (fake_memory){.source.read = read_fake, .reads_left = -1};
}

pi_snapshot bare_snapshot(fake_memory *memory) {
    fake_memory_init(memory);
    return (pi_snapshot){
        .pid = 4711,
        .architecture = PI_ARCHITECTURE_AMD64,
        .processor_count = 2,
        .captured_at_unix_ns = INT64_C(1700000000999999999),
        .source = &memory->source,
    };
}

laid_out lay_out(const pi_snapshot *snapshot) {
    procinspect_error error;
    laid_out file = {0};
    assert_int_equal(pi_minidump_lay_out(snapshot, NULL, 0, &file.image, &error), 0);
    size_t size = (size_t)pi_image_size_bytes(file.image);
    file.bytes = malloc(size);
    assert_non_null(file.bytes);
    assert_int_equal(pi_image_read_at(file.image, 0, file.bytes, size, &file.length, &error), 0);
    assert_int_equal(file.length, size);
    return file;
}

void laid_out_free(laid_out *file) {
    pi_image_free(file->image);
    free(file->bytes);
    *file = (laid_out){0};
}

static uint64_t number_at(const laid_out *file, uint64_t position, unsigned size) {
    uint64_t value = 0;
    assert_true(position <= file->length && size <= file->length - position);
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)file->bytes[position + i] << (8 * i);
    return value;
}

uint16_t u16_at(const laid_out *file, uint64_t position) {
    return (uint16_t)number_at(file, position, 2);
}

uint32_t u32_at(const laid_out *file, uint64_t position) {
    return (uint32_t)number_at(file, position, 4);
}

uint64_t u64_at(const laid_out *file, uint64_t position) {
    return number_at(file, position, 8);
}

uint32_t stream_at(const laid_out *file, uint32_t type, uint32_t *size_bytes) {
    uint32_t count = u32_at(file, 8), directory = u32_at(file, 12), found = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t entry = directory + 12 * i;
        if (u32_at(file, entry) != type)
            continue;
        assert_int_equal(found, 0);
        found = u32_at(file, entry + 8);
        *size_bytes = u32_at(file, entry + 4);
        assert_true(found >= 32 && (uint64_t)found + *size_bytes <= file->length);
    }
    return found;
}

uint64_t first_entry_at(const laid_out *file, uint32_t type, uint32_t entry_bytes, uint64_t count) {
    enum { HEADER_BYTES = 16 };
    uint32_t size, at = stream_at(file, type, &size);
    assert_true(at != 0 && at % 8 == 0);
    assert_int_equal(size, HEADER_BYTES + entry_bytes * count);
    assert_int_equal(u32_at(file, at), HEADER_BYTES);
    assert_int_equal(u32_at(file, at + 4), entry_bytes);
    assert_int_equal(u64_at(file, at + 8), count);
    return at + HEADER_BYTES;
}

void assert_string(const laid_out *file, uint32_t rva, const char *text) {
    size_t length = strlen(text);
    assert_int_equal(rva % 4, 0);
    assert_int_equal(u32_at(file, rva), 2 * length);
    for (size_t i = 0; i <= length; i++)
        assert_int_equal(u16_at(file, rva + 4 + 2 * i), (unsigned char)text[i]);
}

void assert_memory(const laid_out *file, uint64_t position, uint64_t address, size_t length) {
    assert_true(position <= file->length && length <= file->length - position);
    for (size_t i = 0; i < length; i++)
        if (file->bytes[position + i] != fake_byte(address + i))
            fail_msg("the byte of %#llx is not at %#llx", (unsigned long long)(address + i),
                     (unsigned long long)(position + i));
}
