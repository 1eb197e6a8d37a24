/* SPDX-License-Identifier: MIT */
/* Reading /proc/PID/mem, from anywhere in a page and across what can't be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/linux/capture/memory_file.h"

enum { PAGE = 4096, PAGES = 8, HOLE = 5, UNTOUCHED = 0xee };

static unsigned char *make_pages(void) {
    unsigned char *pages =
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    for (size_t i = 0; i < (size_t)PAGES * PAGE; i++)
        pages[i] = (unsigned char)(i * 31 + i / PAGE + 1);
    return pages;
}

/* Of the own pages, of which those from `hole` on are not there. */
static void assert_reads(int file, const unsigned char *pages, const unsigned char *expected,
                         size_t offset, size_t length, size_t hole) {
    unsigned char read[PAGES * PAGE];
    bool is_whole = length == 0 || offset + length <= hole;
    memset(read, UNTOUCHED, sizeof read);
    assert_int_equal(pi_memory_file_read(file, (uintptr_t)pages + offset, read, length),
                     is_whole ? PI_MEMORY_READ_WELL : PI_MEMORY_READ_IN_PART);
    assert_memory_equal(read, expected + offset, length);
    assert_int_equal(read[length], UNTOUCHED);
}

/* With begins and lengths around the bounds of pages. */
static void assert_reads_from_anywhere(const unsigned char *pages, const unsigned char *expected,
                                       size_t hole) {
    static const size_t offsets[] = {0, 1, 7, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE - 8};
    static const size_t lengths[] = {
        0, 1, 8, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 2 * PAGE + 9, 5 * PAGE, 6 * PAGE};
    int file = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++)
        for (size_t j = 0; j < sizeof lengths / sizeof lengths[0]; j++)
            assert_reads(file, pages, expected, offsets[i], lengths[j], hole);
    close(file);
}

static void test_every_byte_from_anywhere(void **state) {
    (void)state;
    unsigned char *pages = make_pages();
    assert_reads_from_anywhere(pages, pages, PAGES * PAGE);
    munmap(pages, PAGES * PAGE);
}

static void test_what_cannot_be_read_is_zero(void **state) {
    static unsigned char expected[PAGES * PAGE];
    (void)state;
    unsigned char *pages = make_pages();
    memcpy(expected, pages, HOLE * PAGE);
    memcpy(expected + (HOLE + 1) * PAGE, pages + (HOLE + 1) * PAGE, (PAGES - HOLE - 1) * PAGE);
    munmap(pages + HOLE * PAGE, PAGE);
    assert_reads_from_anywhere(pages, expected, HOLE * PAGE);
    munmap(pages, PAGES * PAGE);
}

static void test_a_process_that_has_ended(void **state) {
    char path[32];
    unsigned char byte;
    (void)state;
    unsigned char *pages = make_pages();
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        skip(); /* no process may be traced here */
    }
    assert_int_equal(pi_memory_file_read(file, (uintptr_t)pages, &byte, 1), PI_MEMORY_READ_WELL);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(pi_memory_file_read(file, (uintptr_t)pages + 1, &byte, 1),
                     PI_MEMORY_READ_NOTHING);
    close(file);
    munmap(pages, PAGES * PAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_from_anywhere),
        cmocka_unit_test(test_what_cannot_be_read_is_zero),
        cmocka_unit_test(test_a_process_that_has_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
