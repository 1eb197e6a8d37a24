/* SPDX-License-Identifier: MIT */
#include "zip/zip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "zip/made_up.h"
#include "zip/own_tasks.h"

enum {
    MIB = 1024 * 1024,
    LOCAL_HEADER_BYTES = 30,
    DESCRIPTOR_BYTES = 16,
    END_BYTES = 22,
    IMAGE_BYTES = 1300000,
    MOST_BYTES = 2 * MIB
};

typedef struct bytes {
    unsigned char *data;
    size_t length;
} bytes;

static made_up first, second;

/* Two entries over first and second. */
static pi_zip *open_two(uint32_t level, uint32_t workers) {
    pi_zip_entry entries[] = {made_up_entry("minidump.dmp", &first),
                              made_up_entry("other", &second)};
    pi_zip_options options = {entries, 2, level, workers, 1767323045};
    pi_zip *zip = NULL;
    procinspect_error error = {0};
    int32_t code = pi_zip_new(&options, &zip, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(code, 0);
    return zip;
}

/* Up to `limit` bytes of it, `capacity` at a time. */
static int32_t read_up_to(pi_zip *zip, size_t capacity, size_t limit, bytes *read,
                          procinspect_error *error) {
    read->length = 0;
    while (read->length < limit) {
        size_t left = limit - read->length, length = 77;
        int32_t code = pi_zip_read(zip, read->data + read->length,
                                   left < capacity ? left : capacity, &length, error);
        if (code != 0 || length == 0)
            return code;
        read->length += length;
    }
    return 0;
}

static bytes room_for(size_t length) {
    bytes made = {malloc(length), 0};
    assert_non_null(made.data);
    return made;
}

static bytes whole_zip(uint32_t level, uint32_t workers, size_t capacity) {
    bytes read = room_for(MOST_BYTES);
    pi_zip *zip = open_two(level, workers);
    assert_int_equal(read_up_to(zip, capacity, MOST_BYTES, &read, NULL), 0);
    pi_zip_free(zip);
    return read;
}

static void init_sources(void) {
    made_up_init(&first, MADE_UP_IMAGE, IMAGE_BYTES);
    made_up_init(&second, MADE_UP_CODE, 300);
}

/* Inflates the entry whose local header stands here; returns where its descriptor is. */
static const unsigned char *assert_unpacks(const unsigned char *header, made_up *source) {
    static unsigned char unpacked[MIB], expected[MIB];
    z_stream inflating = {.avail_in = MOST_BYTES};
    assert_memory_equal(header, "PK\x03\x04", 4);
    inflating.next_in = (unsigned char *)(uintptr_t)header + LOCAL_HEADER_BYTES + header[26];
    assert_int_equal(inflateInit2(&inflating, -MAX_WBITS), Z_OK);
    int result = Z_OK;
    while (result == Z_OK) {
        uint64_t position = inflating.total_out;
        inflating.next_out = unpacked;
        inflating.avail_out = sizeof unpacked;
        result = inflate(&inflating, Z_NO_FLUSH);
        size_t length = inflating.total_out - position;
        made_up_copy(source, position, expected, length);
        assert_memory_equal(unpacked, expected, length);
    }
    assert_int_equal(result, Z_STREAM_END);
    assert_int_equal(inflating.total_out, source->size_bytes);
    inflateEnd(&inflating);
    return inflating.next_in;
}

static void what_goes_in_comes_out(void **state) {
    (void)state;
    static const made_up_kind kinds[] = {MADE_UP_ZEROS, MADE_UP_RANDOM, MADE_UP_CODE,
                                         MADE_UP_IMAGE};
    static const uint64_t sizes[] = {0, 1, 131071, 131072, 131073, 300007};
    for (size_t i = 0; i < 4 * 6 * 3; i++) {
        made_up_init(&first, kinds[i % 4], sizes[i / 4 % 6]);
        made_up_init(&second, MADE_UP_CODE, 300);
        bytes zip = whole_zip(i / 24 == 0 ? 0 : i / 24 == 1 ? 1 : 6, 3, MIB);
        const unsigned char *descriptor = assert_unpacks(zip.data, &first);
        assert_memory_equal(descriptor, "PK\x07\x08", 4);
        assert_unpacks(descriptor + DESCRIPTOR_BYTES, &second);
        assert_memory_equal(zip.data + zip.length - END_BYTES, "PK\x05\x06", 4);
        free(zip.data);
    }
}

static void however_it_is_read_it_is_the_same(void **state) {
    (void)state;
    static const size_t capacities[] = {1, 7, 4096, 1000003};
    init_sources();
    bytes expected = whole_zip(1, 1, MIB);
    for (uint32_t i = 0; i < 8; i++) {
        init_sources();
        first.most = i % 3 * 1000;
        bytes zip = whole_zip(1, i, capacities[i % 4]);
        assert_int_equal(zip.length, expected.length);
        assert_memory_equal(zip.data, expected.data, zip.length);
        free(zip.data);
    }
    free(expected.data);
}

static void of_no_entries_it_is_its_end(void **state) {
    (void)state;
    pi_zip *zip;
    bytes read = room_for(MIB);
    assert_int_equal(pi_zip_new(&(pi_zip_options){.workers = 1}, &zip, NULL), 0);
    assert_int_equal(read_up_to(zip, MIB, MIB, &read, NULL), 0);
    assert_int_equal(read.length, END_BYTES);
    assert_memory_equal(read.data, "PK\x05\x06\0\0\0\0", 8);
    free(read.data);
    pi_zip_free(zip);
}

static void numbers_out_of_range_are_refused(void **state) {
    (void)state;
    pi_zip_options options = {.level = 10};
    pi_zip *zip = (pi_zip *)&options;
    procinspect_error error;
    assert_int_equal(pi_zip_new(&options, &zip, &error), PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "level 10 "));
    options = (pi_zip_options){.workers = 33};
    assert_int_equal(pi_zip_new(&options, &zip, &error), PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "33 "));
    options = (pi_zip_options){.level = UINT32_MAX, .workers = UINT32_MAX};
    assert_int_equal(pi_zip_new(&options, &zip, &error), PROCINSPECT_ERROR_INVALID_ARGUMENT);
    options = (pi_zip_options){.entry_count = PI_ZIP_MAX_ENTRIES + 1};
    assert_int_equal(pi_zip_new(&options, &zip, &error), PROCINSPECT_ERROR_TOO_LARGE);
    assert_ptr_equal(zip, &options);
    pi_zip_free(NULL);
}

static void nothing_is_read_ahead_of_the_reader(void **state) {
    (void)state;
    enum { WORKERS = 2, BLOCKS = 2 * WORKERS + 2, BLOCK_BYTES = 128 * 1024 };
    size_t tasks = own_task_count();
    bytes read = room_for(MIB);
    made_up_init(&first, MADE_UP_RANDOM, UINT64_C(1) << 40);
    made_up_init(&second, MADE_UP_ZEROS, 0);
    pi_zip *zip = open_two(1, WORKERS);
    assert_int_equal(first.reads, 0);
    assert_own_tasks(tasks);
    assert_int_equal(read_up_to(zip, 10, 10, &read, NULL), 0);
    assert_int_equal(first.reads, 0); /* the header needs nothing of it */
    assert_int_equal(read_up_to(zip, 10, 2000, &read, NULL), 0);
    assert_int_equal(first.position, BLOCKS * BLOCK_BYTES);
    assert_own_tasks(tasks + WORKERS);
    /* Now it is slow: nothing moves until it reads on. */
    assert_int_equal(read_up_to(zip, 10, 2000, &read, NULL), 0);
    assert_int_equal(first.position, BLOCKS * BLOCK_BYTES);
    pi_zip_free(zip);
    assert_own_tasks(tasks);
    free(read.data);
}

static void it_can_be_left_anywhere(void **state) {
    (void)state;
    size_t tasks = own_task_count(), descriptors = own_descriptor_count();
    init_sources();
    bytes whole = whole_zip(1, 2, MIB), read = room_for(whole.length);
    const unsigned char *descriptor = assert_unpacks(whole.data, &first);
    size_t in_descriptor = (size_t)(descriptor - whole.data) + 5;
    const size_t ends[] = {0,
                           1,
                           20, /* the local header */
                           1000,
                           300000, /* data */
                           in_descriptor,
                           in_descriptor + DESCRIPTOR_BYTES + 10, /* the next local header */
                           whole.length - END_BYTES - 50,         /* the central directory */
                           whole.length - 1};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        init_sources();
        pi_zip *zip = open_two(1, 3);
        assert_int_equal(read_up_to(zip, 64 * 1024, ends[i], &read, NULL), 0);
        assert_int_equal(read.length, ends[i]);
        assert_memory_equal(read.data, whole.data, read.length);
        pi_zip_free(zip);
        assert_own_tasks(tasks);
        assert_int_equal(own_descriptor_count(), descriptors);
    }
    free(whole.data);
    free(read.data);
}

static bool has_directory(bytes zip) {
    for (size_t i = 0; i + 4 <= zip.length; i++)
        if (memcmp(zip.data + i, "PK\x01\x02", 4) == 0 ||
            memcmp(zip.data + i, "PK\x05\x06", 4) == 0)
            return true;
    return false;
}

static void of_a_source_that_fails_there_is_no_directory(void **state) {
    (void)state;
    static const uint64_t fails_at[] = {0, 1, 131072, 700000, IMAGE_BYTES - 1};
    size_t tasks = own_task_count();
    bytes read = room_for(MOST_BYTES);
    for (size_t i = 0; i < 10; i++) {
        init_sources();
        if (i < 5)
            first.fails_at = fails_at[i];
        else
            second.fails_at = i * 20;
        pi_zip *zip = open_two(1, 2);
        procinspect_error error = {0};
        assert_int_equal(read_up_to(zip, MIB, MOST_BYTES, &read, &error), PROCINSPECT_ERROR_IO);
        assert_string_equal(error.message, "The source broke.");
        assert_int_equal(error.os_errno, 5);
        assert_false(has_directory(read));
        pi_zip_free(zip);
        assert_own_tasks(tasks);
    }
    free(read.data);
}

static void an_entry_must_not_grow(void **state) {
    (void)state;
    bytes read = room_for(MOST_BYTES);
    for (uint64_t more = 1; more < 1000000; more *= 50) {
        init_sources();
        pi_zip *zip = open_two(1, 2);
        procinspect_error error = {0};
        first.size_bytes += more;
        assert_int_equal(read_up_to(zip, MIB, MOST_BYTES, &read, &error), PROCINSPECT_ERROR_IO);
        assert_non_null(strstr(error.message, "minidump.dmp became longer"));
        assert_false(has_directory(read));
        pi_zip_free(zip);
        init_sources(); /* it may shrink: files do */
        zip = open_two(1, 2);
        first.size_bytes -= more;
        assert_int_equal(read_up_to(zip, MIB, MOST_BYTES, &read, &error), 0);
        assert_unpacks(read.data, &first);
        pi_zip_free(zip);
    }
    free(read.data);
}

static void names_are_made_safe(void **state) {
    (void)state;
    static const char *const expected[] = {"_._etc_passwd", "_._etc_passwd (2)"};
    bytes read = room_for(MIB);
    made_up_init(&first, MADE_UP_ZEROS, 0);
    pi_zip_entry entries[] = {made_up_entry("../etc/passwd", &first),
                              made_up_entry("..\\etc\\passwd", &first)};
    pi_zip *zip;
    assert_int_equal(pi_zip_new(&(pi_zip_options){entries, 2, 1, 1, 0}, &zip, NULL), 0);
    assert_int_equal(read_up_to(zip, MIB, MIB, &read, NULL), 0);
    size_t length = strlen(expected[0]);
    assert_int_equal(read.data[26], length);
    assert_memory_equal(read.data + LOCAL_HEADER_BYTES, expected[0], length);
    size_t next = LOCAL_HEADER_BYTES + length + 2 + DESCRIPTOR_BYTES;
    assert_memory_equal(read.data + next + LOCAL_HEADER_BYTES, expected[1], strlen(expected[1]));
    pi_zip_free(zip);
    free(read.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(however_it_is_read_it_is_the_same),
        cmocka_unit_test(of_no_entries_it_is_its_end),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(nothing_is_read_ahead_of_the_reader),
        cmocka_unit_test(it_can_be_left_anywhere),
        cmocka_unit_test(of_a_source_that_fails_there_is_no_directory),
        cmocka_unit_test(an_entry_must_not_grow),
        cmocka_unit_test(names_are_made_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
