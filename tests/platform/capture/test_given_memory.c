/* SPDX-License-Identifier: MIT */
/* Targets whose memory is another's to give: a cgroup's, which has no room for a copy too, and a
 * userfaultfd's, whose thread stands still. */
#include "platform/capture/copy_child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <procinspect/dump.h>

/* --- A memory cgroup in which both have no room --- */

enum { CGROUP_BYTES = COPY_LARGE_BYTES + 40 * 1024 * 1024 };

static bool write_text(const char *folder, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool is_written = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
    if (file >= 0)
        close(file);
    return is_written;
}

/* Of either version; false where there is none for us. */
static bool make_cgroup(char folder[128]) {
    static const char *const roots[] = {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"};
    static const char *const limits[] = {"memory.limit_in_bytes", "memory.max"};
    char text[32];
    snprintf(text, sizeof text, "%d", (int)CGROUP_BYTES);
    for (size_t i = 0; i < 2; i++) {
        snprintf(folder, 128, "%s/procinspect-test-%d", roots[i], (int)getpid());
        if (mkdir(folder, 0755) != 0)
            continue;
        if (write_text(folder, limits[i], text))
            return true;
        rmdir(folder);
    }
    return false;
}

static char cgroup[128];

static void limited_body(child_board *board) {
    char text[16];
    snprintf(text, sizeof text, "%d", (int)getpid());
    if (!write_text(cgroup, "cgroup.procs", text))
        _exit(97);
    writing_body(board);
}

/* The kernel takes the copy, and not the process; and who reads the dump is told. */
static void test_a_memory_cgroup_ends_the_copy_first(void **state) {
    procinspect_error error = {0};
    uint64_t word;
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* its mappings take the kernel so long to end that it ends the process as well */
#endif
    if (geteuid() != 0 || !make_cgroup(cgroup))
        skip();
    test_child child = child_start(limited_body);
    pi_capture_request request = copy_request();
    pi_snapshot *snapshot = NULL;
    int32_t code = pi_capture(child.process, &request, &snapshot, &error);
    for (int i = 0; i < 60000 && code == 0; i++) {
        code = copy_read(snapshot, atomic_load(&child.board->words[0]), sizeof word, &word, &error);
        sleep_ms(1);
    }
    assert_int_equal(code, PROCINSPECT_ERROR_IO);
    assert_non_null(strstr(error.message, "was killed, as the kernel does it first"));
    pi_snapshot_free(snapshot);
    assert_int_equal(count_children(child.pid), 0);
    wait_for_rounds(&child, 2);
    assert_int_equal(waitpid(child.pid, NULL, WNOHANG), 0);
    child_end(&child);
    for (int i = 0; i < 1000 && rmdir(cgroup) != 0; i++)
        sleep_ms(1);
}

/* --- Memory that a thread of the process serves, which stands still --- */

enum { SERVED_PAGES = 16 };

/* words[2]: an area of which only the first page was ever asked for. */
static void userfaultfd_body(child_board *board) {
    struct uffdio_api api = {.api = UFFD_API};
    unsigned char *area = mmap(NULL, SERVED_PAGES * COPY_PAGE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(area, 0x5a, COPY_PAGE);
    struct uffdio_register wanted = {
        .range = {(uintptr_t)area, SERVED_PAGES * COPY_PAGE},
        .mode = UFFDIO_REGISTER_MODE_MISSING,
    };
    int file = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    if (file < 0)
        file = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    atomic_store(&board->words[2], (uint64_t)(uintptr_t)area);
    if (file < 0 || ioctl(file, UFFDIO_API, &api) != 0 ||
        ioctl(file, UFFDIO_REGISTER, &wanted) != 0)
        atomic_store(&board->words[3], 1);
    for (;; atomic_fetch_add(&board->beats, 1)) {
        if (atomic_load(&board->words[4]) == 1 && madvise(area, COPY_PAGE, MADV_DONTNEED) == 0)
            atomic_store(&board->words[4], 2);
        atomic_store(&board->ready, 1);
    }
}

/* A page that is gone, and would be asked for: nobody answers. */
static void assert_live_does_not_wait(const test_child *child, const pi_snapshot *snapshot) {
    unsigned char byte = 1;
    atomic_store(&child->board->words[4], 1);
    while (atomic_load(&child->board->words[4]) != 2)
        sleep_ms(1);
    assert_int_equal(copy_read(snapshot, atomic_load(&child->board->words[2]), 1, &byte, NULL), 0);
    assert_int_equal(byte, 0);
}

static void test_userfaultfd_users(void **state) {
    (void)state;
    skip_unless_children_can_be_traced();
    test_child child = child_start(userfaultfd_body);
    if (atomic_load(&child.board->words[3]) != 0) {
        child_end(&child);
        skip();
    }
    uint64_t area = atomic_load(&child.board->words[2]);
    for (uint32_t way = PROCINSPECT_DUMP_WAY_HOLD; way <= PROCINSPECT_DUMP_WAY_LIVE; way++) {
        unsigned char bytes[COPY_PAGE];
        pi_capture_request request = copy_request();
        request.way = way;
        request.spool_directory = "/tmp";
        request.hold_buffer_bytes = UINT64_C(4) << 30;
        pi_snapshot *snapshot = capture_process(child.process, &request);
        assert_int_equal(copy_read(snapshot, area, COPY_PAGE, bytes, NULL), 0);
        assert_int_equal(bytes[COPY_PAGE - 1], 0x5a);
        assert_int_equal(copy_read(snapshot, area + COPY_PAGE, 1, bytes, NULL),
                         PROCINSPECT_ERROR_IO);
        if (way == PROCINSPECT_DUMP_WAY_LIVE)
            assert_live_does_not_wait(&child, snapshot);
        pi_snapshot_free(snapshot);
    }
    assert_beats(&child);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_memory_cgroup_ends_the_copy_first),
        cmocka_unit_test(test_userfaultfd_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
