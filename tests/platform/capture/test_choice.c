/* SPDX-License-Identifier: MIT */
/* Which memory a dump's type asks for, from mappings and page tables that no process ever had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <procinspect/dump.h>

#include "platform/linux/capture/choice.h"

enum { PAGE = 4096, ROOM = 80000 };
enum { DATA = 0x1, FULL = 0x2, PRIVATE = 0x200 };

#define PRESENT (UINT64_C(1) << 63)
#define SWAPPED (UINT64_C(1) << 62)
#define OF_FILE (UINT64_C(1) << 61)
#define GUARD (UINT64_C(1) << 58)

/* A page table: a file as the kernel's pagemap is one, but for the ioctl that it doesn't know. */
static int new_table(void) {
    int table = memfd_create("pagemap", 0);
    assert_true(table >= 0);
    return table;
}

static void set_pages(int table, uint64_t address, size_t count, uint64_t entry) {
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pwrite(table, &entry, 8, (off_t)((address / PAGE + i) * 8)), 8);
}

static pi_memory_range room[ROOM];
static pi_pages pages;

static pi_choice choose(uint32_t type, const char *maps, int table) {
    pi_choice choice = {.type = type,
                        .maps = maps,
                        .maps_length = strlen(maps),
                        .pages = &pages,
                        .ranges = room,
                        .capacity = ROOM};
    memset(&pages, 0, sizeof pages);
    pi_pages_begin(&pages, table);
    assert_int_equal(pi_choice_make(&choice), 0);
    return choice;
}

static void assert_sound(const pi_choice *choice) {
    uint64_t total = 0;
    assert_true(choice->count <= choice->capacity);
    for (size_t i = 0; i < choice->count; i++) {
        const pi_memory_range *range = &choice->ranges[i];
        assert_true(range->size_bytes != 0);
        assert_true(range->address <= UINT64_MAX - range->size_bytes);
        if (i > 0)
            assert_true(range->address > range[-1].address + range[-1].size_bytes);
        total += range->size_bytes;
    }
    assert_true(total + choice->left_out_bytes == choice->total_bytes);
}

/* `expected`: address and pages in turn, 0 at the end. */
static void assert_chosen(const pi_choice *choice, const uint64_t *expected) {
    assert_sound(choice);
    size_t count = 0;
    for (; expected[2 * count] != 0; count++) {
        assert_true(count < choice->count);
        assert_int_equal(choice->ranges[count].address, expected[2 * count]);
        assert_int_equal(choice->ranges[count].size_bytes, expected[2 * count + 1] * PAGE);
    }
    assert_int_equal(choice->count, count);
}

#define CHOSEN(choice, ...) assert_chosen(choice, (const uint64_t[]){__VA_ARGS__, 0})

/* --- Types --- */

static const char program[] = "400000-402000 r-xp 00000000 fe:01 11    /bin/program\n"
                              "402000-405000 r--p 00002000 fe:01 11    /bin/program\n"
                              "405000-407000 rw-p 00005000 fe:01 11    /bin/program\n"
                              "407000-40a000 rw-p 00000000 00:00 0 \n"
                              "40a000-40b000 rw-p 00000000 00:00 0     [anon:behind the bss]\n"
                              "500000-504000 rw-p 00000000 00:00 0     [heap]\n"
                              "600000-602000 ---p 00000000 00:00 0 \n"
                              "602000-604000 r--p 00000000 00:00 0 \n"
                              "604000-606000 rwxp 00000000 00:00 0 \n"
                              "700000-702000 rw-s 00000000 fe:01 12    /var/lib/database\n"
                              "702000-704000 rw-p 00000000 00:00 0 \n"
                              "710000-712000 rw-s 00000000 00:01 13    /memfd:shared (deleted)\n"
                              "720000-722000 rw-p 00000000 00:01 14    /memfd:library (deleted)\n"
                              "730000-732000 rw-s 00000000 00:06 15    /dev/fb0\n"
                              "740000-742000 r--p 00000000 00:00 0     [vvar]\n"
                              "742000-743000 r-xp 00000000 00:00 0     [vdso]\n";

static int program_table(void) {
    int table = new_table();
    set_pages(table, 0x400000, 5, PRESENT | OF_FILE);
    set_pages(table, 0x403000, 1, PRESENT); /* relocated */
    set_pages(table, 0x404000, 1, SWAPPED);
    set_pages(table, 0x405000, 2, PRESENT | OF_FILE);
    set_pages(table, 0x407000, 2, PRESENT);
    set_pages(table, 0x40a000, 1, PRESENT);
    set_pages(table, 0x501000, 2, PRESENT);
    set_pages(table, 0x503000, 1, SWAPPED | GUARD); /* a guard, which is told as one in swap */
    set_pages(table, 0x600000, 6, PRESENT);
    set_pages(table, 0x700000, 0x43, PRESENT | OF_FILE);
    set_pages(table, 0x702000, 1, PRESENT);
    return table;
}

static void test_full_memory(void **state) {
    (void)state;
    int table = program_table();
    pi_choice choice = choose(FULL, program, table);
    CHOSEN(&choice, 0x400000, 9, 0x40a000, 1, 0x501000, 2, 0x600000, 6, 0x700000, 4, 0x710000, 2,
           0x720000, 2, 0x742000, 1);
    /* It has all that the other types have. */
    choice = choose(FULL | DATA | PRIVATE, program, table);
    assert_int_equal(choice.count, 8);
    close(table);
}

static void test_data_segments(void **state) {
    (void)state;
    int table = program_table();
    pi_choice choice = choose(DATA, program, table);
    CHOSEN(&choice, 0x403000, 6, 0x700000, 4, 0x720000, 2);
    close(table);
}

/* An anonymous mapping behind a file's that was never written to is no .bss. */
static void test_no_bss_behind_what_is_only_read(void **state) {
    static const char maps[] = "402000-405000 r--p 00002000 fe:01 11    /usr/lib/locale\n"
                               "405000-407000 rw-p 00000000 00:00 0 \n"
                               "507000-508000 rw-p 00005000 fe:01 11    /bin/program\n"
                               "509000-50a000 rw-p 00000000 00:00 0 \n"
                               "600000-601000 rw-p 00005000 fe:01 11    /bin/static\n"
                               "601000-603000 rw-p 00000000 00:00 0     [heap]\n";
    (void)state;
    int table = new_table();
    set_pages(table, 0x402000, 3, PRESENT | OF_FILE);
    set_pages(table, 0x405000, 2, PRESENT);
    set_pages(table, 0x507000, 3, PRESENT);
    set_pages(table, 0x600000, 3, PRESENT);
    pi_choice choice = choose(DATA, maps, table);
    CHOSEN(&choice, 0x507000, 1, 0x600000, 3);
    close(table);
}

static void test_private_memory(void **state) {
    (void)state;
    int table = program_table();
    pi_choice choice = choose(PRIVATE, program, table);
    CHOSEN(&choice, 0x407000, 2, 0x40a000, 1, 0x501000, 2, 0x604000, 2, 0x702000, 2);
    close(table);
}

/* The kernel has a file for them, that has neither a path nor another user. */
static void test_anonymous_huge_pages(void **state) {
    static const char maps[] = "200000-400000 rw-p 00000000 00:0f 7 /anon_hugepage (deleted)\n"
                               "400000-401000 rw-p 00000000 00:00 0 \n"
                               "600000-800000 r--p 00000000 00:0f 8 /anon_hugepage (deleted)\n"
                               "800000-a00000 rw-s 00000000 00:0f 9 /anon_hugepage (deleted)\n"
                               "a00000-c00000 rw-p 00000000 00:10 7 /dev/hugepages/data\n";
    (void)state;
    int table = new_table();
    set_pages(table, 0x200000, 513, PRESENT);
    set_pages(table, 0x600000, 512, PRESENT);
    set_pages(table, 0x800000, 512, PRESENT);
    set_pages(table, 0xa00000, 512, PRESENT);
    pi_choice choice = choose(PRIVATE, maps, table);
    CHOSEN(&choice, 0x200000, 513);
    choice = choose(DATA, maps, table);
    CHOSEN(&choice, 0xa00000, 512);
    close(table);
}

/* --- What is in it in any case, and what in none --- */

static void test_always_and_never(void **state) {
    static const char maps[] = "10000-20000 rw-p 00000000 00:00 0 \n"
                               "30000-31000 rw-p 00000000 00:00 0 \n"
                               "50000-60000 rw-p 00000000 00:00 0 \n";
    static const pi_memory_range always[] = {{0x800, 0x10},     {0x10f00, 0x80},  {0x11f80, 0x100},
                                             {0x1f000, 0x2000}, {0x40000, 0x123}, {0x5ff80, 0x100},
                                             {0x70000, 0x10}};
    static const pi_memory_range never[] = {
        {0x14000, 0x2000}, {0x2f000, 0x8000}, {0x50000, 0x1000}};
    (void)state;
    int table = new_table();
    set_pages(table, 0x10000, 2, PRESENT);
    set_pages(table, 0x13000, 4, PRESENT);
    set_pages(table, 0x30000, 1, PRESENT);
    set_pages(table, 0x50000, 16, PRESENT);
    memset(&pages, 0, sizeof pages);
    pi_pages_begin(&pages, table);
    pi_choice choice = {.type = FULL,
                        .maps = maps,
                        .maps_length = sizeof maps - 1,
                        .pages = &pages,
                        .always = always,
                        .always_count = 7,
                        .never = never,
                        .never_count = 3,
                        .ranges = room,
                        .capacity = ROOM};
    assert_int_equal(pi_choice_make(&choice), 0);
    assert_sound(&choice);
    static const pi_memory_range expected[] = {
        {0x800, 0x10},     {0x10000, 0x2080}, {0x13000, 0x1000}, {0x16000, 0x1000},
        {0x1f000, 0x2000}, {0x40000, 0x123},  {0x51000, 0xf080}, {0x70000, 0x10}};
    assert_int_equal(choice.count, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(room[i].address, expected[i].address);
        assert_int_equal(room[i].size_bytes, expected[i].size_bytes);
    }
    close(table);
}

/* --- Hostile --- */

static void test_overlapping_unsorted_and_huge(void **state) {
    static const char maps[] = "20000-30000 rw-p 00000000 00:00 0 \n"
                               "28000-38000 rw-p 00000000 00:00 0 \n"
                               "10000-29000 rw-p 00000000 00:00 0 \n"
                               "20000-30000 rw-p 00000000 00:00 0 \n"
                               "40123-41fff rw-p 00000000 00:00 0 \n"
                               "7fffffff0000-800000010000 rw-p 00000000 00:00 0 \n"
                               "ffffffffff000000-ffffffffffffffff rw-p 00000000 00:00 0 \n"
                               "0-ffffffffffffffff rw-p 00000000 00:00 0 \n";
    (void)state;
    int table = new_table();
    set_pages(table, 0x10000, 0x40, PRESENT);
    pi_choice choice = choose(FULL, maps, table);
    CHOSEN(&choice, 0x20000, 0x18, 0x40000, 1);
    close(table);
}

static void test_as_many_mappings_as_a_process_may_have(void **state) {
    enum { MAPPINGS = 65530, LINE = 64 };
    char *maps = malloc((size_t)MAPPINGS * LINE + 1);
    (void)state;
    assert_non_null(maps);
    int table = new_table();
    size_t length = 0;
    for (uint64_t i = 0; i < MAPPINGS; i++)
        length += (size_t)sprintf(maps + length, "%llx-%llx r%c-p 00000000 00:00 0 \n",
                                  (unsigned long long)(0x10000000 + i * 2 * PAGE),
                                  (unsigned long long)(0x10000000 + (i * 2 + 1) * PAGE),
                                  i % 2 ? 'w' : '-');
    uint64_t *entries = malloc(2 * (size_t)MAPPINGS * 8);
    assert_non_null(entries);
    for (size_t i = 0; i < 2 * (size_t)MAPPINGS; i++)
        entries[i] = PRESENT;
    assert_int_equal(pwrite(table, entries, 2 * (size_t)MAPPINGS * 8, 0x10000000 / PAGE * 8),
                     2 * MAPPINGS * 8);
    pi_choice choice = choose(FULL, maps, table);
    assert_sound(&choice);
    assert_int_equal(choice.count, MAPPINGS);
    assert_int_equal(choice.left_out_bytes, 0);
    choice = choose(PRIVATE, maps, table);
    assert_int_equal(choice.count, MAPPINGS / 2);

    /* More than there is room for: the rest is counted. */
    choice.type = FULL;
    choice.capacity = 1000;
    memset(&pages, 0, sizeof pages);
    pi_pages_begin(&pages, table);
    assert_int_equal(pi_choice_make(&choice), 0);
    assert_sound(&choice);
    assert_int_equal(choice.count, 1000);
    assert_true(choice.left_out_bytes == (uint64_t)(MAPPINGS - 1000) * PAGE);
    free(entries);
    free(maps);
    close(table);
}

/* --- Page tables --- */

static void test_a_pagemap_that_fails(void **state) {
    static const char maps[] = "10000-20000 rw-p 00000000 00:00 0 \n";
    (void)state;
    pi_choice choice = {
        .type = FULL, .maps = maps, .maps_length = sizeof maps - 1, .pages = &pages};
    memset(&pages, 0, sizeof pages);
    pi_pages_begin(&pages, -1);
    assert_int_equal(pi_choice_make(&choice), -EBADF);
    pages.deadline_ns = 1;
    pi_pages_begin(&pages, -1);
    assert_int_equal(pi_choice_make(&choice), -ETIME);
}

/* How collect finds pages. */
typedef enum collecting { BY_SCAN, BY_READING, BY_SCAN_WITHOUT_KIND } collecting;

static void collect(collecting way, uint64_t from, uint64_t to, pi_page_run *runs, size_t *count) {
    int table = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    assert_true(table >= 0);
    memset(&pages, 0, sizeof pages);
    pages.cannot_scan = way == BY_READING;
    pages.skips_kind = way == BY_SCAN_WITHOUT_KIND;
    pi_pages_begin(&pages, table);
    *count = 0;
    while (from < to && pi_pages_next(&pages, from, to, &runs[*count]) == 1) {
        from = runs[*count].end;
        if (*count != 0 && runs[*count - 1].end == runs[*count].start &&
            runs[*count - 1].is_of_file == runs[*count].is_of_file)
            runs[*count - 1].end = from; /* where one answer ended */
        else
            ++*count;
        assert_true(*count < 8000);
    }
    close(table);
}

/* Of memory of our own, more than one answer has room for. */
static void test_both_ways_tell_the_same(void **state) {
    enum { MAPPED = 20000 };
    static pi_page_run scanned[8192], read[8192];
    size_t scanned_count, read_count, file_pages = 0;
    (void)state;
    unsigned char *memory = mmap(NULL, (size_t)MAPPED * PAGE, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(memory != MAP_FAILED);
    madvise(memory, (size_t)MAPPED * PAGE, MADV_NOHUGEPAGE);
    assert_true(mmap(memory + PAGE, 8 * PAGE, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == memory + PAGE);
    for (size_t i = 0; i < MAPPED; i += i % 7 + 1)
        memory[i * PAGE] = 1;
    uint64_t from = (uintptr_t)memory, to = from + (uint64_t)MAPPED * PAGE;
    collect(BY_SCAN, from, to, scanned, &scanned_count);
    collect(BY_READING, from, to, read, &read_count);
    assert_true(scanned_count > 4000);
    assert_int_equal(scanned_count, read_count);
    for (size_t i = 0; i < read_count; i++) {
        assert_true(scanned[i].start == read[i].start && scanned[i].end == read[i].end);
        assert_int_equal(scanned[i].is_of_file, read[i].is_of_file);
        file_pages += read[i].is_of_file;
    }
    assert_true(file_pages > 0);
    /* The same pages, where those in a row are of several kinds in one. */
    collect(BY_SCAN_WITHOUT_KIND, from, to, scanned, &scanned_count);
    assert_true(scanned_count < read_count);
    for (size_t i = 0, k = 0; i < scanned_count; i++)
        for (uint64_t end = scanned[i].start; end != scanned[i].end; end = read[k++].end)
            assert_true(k < read_count && read[k].start == end);
    munmap(memory, (size_t)MAPPED * PAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_memory),
        cmocka_unit_test(test_data_segments),
        cmocka_unit_test(test_no_bss_behind_what_is_only_read),
        cmocka_unit_test(test_private_memory),
        cmocka_unit_test(test_anonymous_huge_pages),
        cmocka_unit_test(test_always_and_never),
        cmocka_unit_test(test_overlapping_unsorted_and_huge),
        cmocka_unit_test(test_as_many_mappings_as_a_process_may_have),
        cmocka_unit_test(test_a_pagemap_that_fails),
        cmocka_unit_test(test_both_ways_tell_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
