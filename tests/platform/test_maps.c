/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/io.h"
#include "platform/linux/maps.h"

#define HEAD "55d0c0de1000-55d0c0de2000 r-xp 00001000 fe:01 1234 "
#define PAD "                      "

/* The only mapping of a text. */
static pi_mapping only(const char *text) {
    pi_maps_cursor cursor = {text, text + strlen(text)};
    pi_mapping mapping, second;
    assert_true(pi_maps_next(&cursor, &mapping));
    assert_false(pi_maps_next(&cursor, &second));
    return mapping;
}

static size_t count_of(const char *text, size_t length) {
    pi_maps_cursor cursor = {text, text + length};
    pi_mapping mapping;
    size_t count = 0;
    while (pi_maps_next(&cursor, &mapping)) {
        assert_true(mapping.start < mapping.end);
        assert_true(mapping.path >= text && mapping.path + mapping.path_length < text + length);
        count++;
    }
    assert_false(pi_maps_next(&cursor, &mapping));
    return count;
}

static void assert_path(const pi_mapping *mapping, const char *path) {
    assert_int_equal(mapping->path_length, strlen(path));
    assert_memory_equal(mapping->path, path, strlen(path));
}

static void reads_every_field(void **state) {
    (void)state;
    pi_mapping mapping = only(HEAD PAD "/usr/bin/program\n");
    assert_int_equal(mapping.start, 0x55d0c0de1000);
    assert_int_equal(mapping.end, 0x55d0c0de2000);
    assert_int_equal(mapping.permissions, PI_MAPPING_READ | PI_MAPPING_EXECUTE);
    assert_int_equal(mapping.offset, 0x1000);
    assert_int_equal(mapping.device_major, 0xfe);
    assert_int_equal(mapping.device_minor, 1);
    assert_int_equal(mapping.inode, 1234);
    assert_path(&mapping, "/usr/bin/program");
    assert_false(mapping.is_marked_deleted);
}

static void reads_numbers_at_their_limits(void **state) {
    (void)state;
    pi_mapping mapping =
        only("0-ffffffffffffffff -w-s ffffffffffffffff ffffffff:ffffffff 18446744073709551615 \n");
    assert_int_equal(mapping.start, 0);
    assert_true(mapping.end == UINT64_MAX);
    assert_true(mapping.offset == UINT64_MAX);
    assert_true(mapping.inode == UINT64_MAX);
    assert_int_equal(mapping.device_major, UINT32_MAX);
    assert_int_equal(mapping.permissions, PI_MAPPING_WRITE | PI_MAPPING_SHARED);
    assert_int_equal(mapping.path_length, 0);
}

static void passes_over_what_is_no_mapping(void **state) {
    (void)state;
    static const char *const lines[] = {
        "\n",
        " \n",
        "10000000000000000-2 r--p 0 0:0 0 \n",    /* 65 bits */
        "1-2 r--p 0 0:0 18446744073709551616 \n", /* 65 bits, decimal */
        "1-2 r--p 0 100000000:0 0 \n",            /* 33 bits */
        "2-2 r--p 0 0:0 0 \n",                    /* empty */
        "3-2 r--p 0 0:0 0 \n",                    /* upside down */
        "1-2 rwxq 0 0:0 0 \n",
        "1-2 w--p 0 0:0 0 \n",
        "1-2 r-- 0 0:0 0 \n",
        "1-2 r--pp 0 0:0 0 \n",
        "1 2 r--p 0 0:0 0 \n",
        "1-2 r--p 0 0-0 0 \n",
        "1-2 r--p 0 0:0\n",
        "1-2 r--p 0 0:0 \n",
        "1-2 r--p 0 0:0 x\n",
        "1-2 r--p 0 0:0 1x /\n",
        "0x1-2 r--p 0 0:0 1 /\n",
        "A-B r--p 0 0:0 1 /\n",
        "-1-2 r--p 0 0:0 0 \n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char text[256];
        int length = snprintf(text, sizeof text, "%s" HEAD "/a\n", lines[i]);
        if (count_of(text, (size_t)length) != 1)
            fail_msg("taken for a mapping: %s", lines[i]);
    }
}

static void a_recorded_line_without_trailing_space_counts(void **state) {
    (void)state;
    assert_int_equal(only("1-2 r--p 0 0:0 0\n").path_length, 0);
}

static void names_may_be_hostile(void **state) {
    (void)state;
    pi_mapping mapping = only(HEAD "/a b  c\n");
    assert_path(&mapping, "/a b  c");
    mapping = only(HEAD "/[stack]\n");
    assert_false(pi_mapping_is_named(&mapping, "[stack]"));
    mapping = only(HEAD "/x\\01255d0c0de1000-55d0c0de2000 r-xp 0 0:0 1 /y\n");
    assert_int_equal(mapping.start, 0x55d0c0de1000);
    mapping = only(HEAD "/\xff\xfe\x80\n");
    assert_path(&mapping, "/\xff\xfe\x80");
    mapping = only("7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0    [stack]\n");
    assert_true(pi_mapping_is_named(&mapping, "[stack]"));
    assert_false(pi_mapping_is_named(&mapping, "[stack"));
}

static void tells_the_mark_of_deleted_files(void **state) {
    (void)state;
    pi_mapping mapping = only(HEAD "/lib/a.so (deleted)\n");
    assert_true(mapping.is_marked_deleted);
    assert_int_equal(pi_mapping_path_length_without_mark(&mapping), strlen("/lib/a.so"));
    mapping = only(HEAD "/a (deleted) (deleted)\n");
    assert_int_equal(pi_mapping_path_length_without_mark(&mapping), strlen("/a (deleted)"));
    mapping = only(HEAD "/a (deleted)x\n");
    assert_false(mapping.is_marked_deleted);
    mapping = only("1-2 r--p 0 0:0 0  (deleted)\n");
    assert_false(mapping.is_marked_deleted);
    assert_int_equal(pi_mapping_path_length_without_mark(&mapping), strlen("(deleted)"));
}

static void undoes_escapes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *path;
    } cases[] = {
        {"/a\\012b", "/a\nb"},     {"\\012", "\n"},  {"/a\\012\\012", "/a\n\n"},
        {"/a\\01", "/a\\01"},      {"/a\\", "/a\\"}, {"/a\\040b", "/a\\040b"},
        {"/a\\\\012b", "/a\\\nb"}, {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char buffer[32];
        strcpy(buffer, cases[i].text);
        size_t length = pi_maps_unescape(buffer, buffer, strlen(buffer));
        assert_int_equal(length, strlen(cases[i].path));
        assert_memory_equal(buffer, cases[i].path, length);
    }
}

static void a_text_may_end_anywhere(void **state) {
    (void)state;
    static const char text[] =
        HEAD PAD "/usr/lib/a b.so (deleted)\n" HEAD "\n"
                 "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0    [stack]\n";
    for (size_t length = 0; length < sizeof text; length++) {
        char *copy = malloc(length + 1); /* of this size, so that a sanitizer sees reads beyond */
        assert_non_null(copy);
        memcpy(copy, text, length);
        size_t newlines = 0;
        for (size_t i = 0; i < length; i++)
            newlines += copy[i] == '\n';
        copy = realloc(copy, length == 0 ? 1 : length);
        assert_non_null(copy);
        assert_int_equal(count_of(copy, length), newlines);
        free(copy);
    }
}

static void our_own_maps_are_complete(void **state) {
    (void)state;
    pi_buffer maps = {0};
    assert_int_equal(pi_read_file_at(-1, "/proc/self/maps", &maps, 1 << 24), 0);
    size_t newlines = 0;
    for (size_t i = 0; i < maps.length; i++)
        newlines += maps.data[i] == '\n';
    assert_true(newlines > 5);
    assert_int_equal(count_of(maps.data, maps.length), newlines);
    pi_buffer_free(&maps);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_field),
        cmocka_unit_test(reads_numbers_at_their_limits),
        cmocka_unit_test(passes_over_what_is_no_mapping),
        cmocka_unit_test(a_recorded_line_without_trailing_space_counts),
        cmocka_unit_test(names_may_be_hostile),
        cmocka_unit_test(tells_the_mark_of_deleted_files),
        cmocka_unit_test(undoes_escapes),
        cmocka_unit_test(a_text_may_end_anywhere),
        cmocka_unit_test(our_own_maps_are_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
