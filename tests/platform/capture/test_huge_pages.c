/* SPDX-License-Identifier: MIT */
/* Captures of memory that the kernel has in huge pages. */
#include "platform/capture/copy_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <procinspect/dump.h>

#define HUGE_BYTES (UINT64_C(2) << 20)

/* Two huge pages from words[0] on, of which the first is filled with 1; with 2 when words[1] is
 * set, which is 2 then. */
static void huge_body(child_board *board) {
    unsigned char *memory =
        mmap(NULL, 3 * HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        _exit(1);
    memory += HUGE_BYTES - (uintptr_t)memory % HUGE_BYTES;
    madvise(memory, 2 * HUGE_BYTES, MADV_HUGEPAGE);
    memset(memory, 1, HUGE_BYTES);
    atomic_store(&board->words[0], (uint64_t)(uintptr_t)memory);
    atomic_store(&board->ready, 1);
    while (atomic_load(&board->words[1]) == 0)
        sleep_ms(1);
    memset(memory, 2, HUGE_BYTES);
    atomic_store(&board->words[1], 2);
    for (;;)
        pause();
}

/* Of the mapping that holds the address. */
static unsigned long huge_kib(pid_t pid, uint64_t address) {
    char path[32], line[512];
    unsigned long start, end, found, kib = 0;
    bool is_it = false;
    snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            is_it = start <= address && address < end;
        else if (is_it && sscanf(line, "AnonHugePages: %lu kB", &found) == 1)
            kib = found;
    }
    fclose(file);
    return kib;
}

static test_child start_with_huge_page(void) {
    skip_unless_children_can_be_traced();
    test_child child = child_start(huge_body);
    if (huge_kib(child.pid, atomic_load(&child.board->words[0])) == 0) {
        print_message("# the system gave no huge page: see "
                      "/sys/kernel/mm/transparent_hugepage/enabled\n");
        child_end(&child);
        skip();
    }
    return child;
}

/* All of the one that is there, as it was, and nothing of the one that isn't. */
static void assert_first_alone(const pi_snapshot *snapshot, uint64_t memory) {
    static unsigned char found[HUGE_BYTES], expected[HUGE_BYTES];
    memset(expected, 1, sizeof expected);
    assert_int_equal(copy_read(snapshot, memory, sizeof found, found, NULL), 0);
    assert_memory_equal(found, expected, sizeof found);
    for (uint64_t at = memory + HUGE_BYTES; at < memory + 2 * HUGE_BYTES; at += COPY_PAGE)
        assert_int_equal(copy_read(snapshot, at, 1, found, NULL), PROCINSPECT_ERROR_IO);
}

static void test_by_hold(void **state) {
    (void)state;
    test_child child = start_with_huge_page();
    pi_capture_request request = copy_request();
    request.way = PROCINSPECT_DUMP_WAY_HOLD;
    request.hold_buffer_bytes = UINT64_C(4) << 30; /* sanitizers have much memory, too */
    pi_snapshot *snapshot = capture_process(child.process, &request);
    assert_first_alone(snapshot, atomic_load(&child.board->words[0]));
    pi_snapshot_free(snapshot);
    child_end(&child);
}

/* Which is split when the process writes to it. */
static void test_by_copy(void **state) {
    (void)state;
    test_child child = start_with_huge_page();
    const uint64_t memory = atomic_load(&child.board->words[0]);
    pi_capture_request request = copy_request();
    pi_snapshot *snapshot = capture_process(child.process, &request);
    assert_first_alone(snapshot, memory);
    atomic_store(&child.board->words[1], 1);
    for (int ms = 0; ms < 20000 && atomic_load(&child.board->words[1]) != 2; ms++)
        sleep_ms(1);
    assert_int_equal(atomic_load(&child.board->words[1]), 2);
    assert_first_alone(snapshot, memory);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hold),
        cmocka_unit_test(test_by_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
