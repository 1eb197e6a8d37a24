/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "platform/linux/file_identity.h"

/* This program's own file, and what maps says of it. */
typedef struct subject {
    int descriptor;
    struct stat status;
    pi_mapping mapping;
} subject;

static subject subject_open(void) {
    subject own = {.descriptor = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
    pi_buffer maps = {0};
    assert_true(own.descriptor >= 0);
    assert_int_equal(fstat(own.descriptor, &own.status), 0);
    assert_int_equal(pi_read_file_at(AT_FDCWD, "/proc/self/maps", &maps, 1 << 24), 0);
    pi_maps_cursor cursor = {maps.data, maps.data + maps.length};
    uint64_t here = (uint64_t)(uintptr_t)subject_open;
    do
        assert_true(pi_maps_next(&cursor, &own.mapping));
    while (here < own.mapping.start || here >= own.mapping.end);
    own.mapping.path = NULL;
    pi_buffer_free(&maps);
    return own;
}

static void knows_the_mapped_file(void **state) {
    (void)state;
    subject own = subject_open();
    assert_true(pi_file_is_mapping(own.descriptor, &own.status, &own.mapping));
    own.status.st_ino++;
    assert_false(pi_file_may_be_mapping(&own.status, &own.mapping));
    assert_false(pi_file_is_mapping(own.descriptor, &own.status, &own.mapping));
    close(own.descriptor);
}

/* As on overlayfs and btrfs: stat names a device that maps doesn't. */
static void asks_maps_where_devices_differ(void **state) {
    (void)state;
    subject own = subject_open();
    own.status.st_dev++;
    own.status.st_ino++;
    assert_true(pi_file_may_be_mapping(&own.status, &own.mapping));
    assert_true(pi_file_is_mapping(own.descriptor, &own.status, &own.mapping));
    int other = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    assert_false(pi_file_is_mapping(other, &own.status, &own.mapping));
    close(other);
    close(own.descriptor);
}

static uint64_t bytes_read_so_far(void) {
    pi_buffer text = {0};
    uint64_t bytes;
    assert_int_equal(pi_read_file_at(AT_FDCWD, "/proc/self/io", &text, 4096), 0);
    assert_int_equal(sscanf(text.data, "rchar: %" SCNu64, &bytes), 1);
    pi_buffer_free(&text);
    return bytes;
}

/* Its cost doesn't grow with what is mapped here: it is asked for each module. */
static void reads_a_page_of_maps(void **state) {
    (void)state;
    enum { MAPPINGS = 4000, PAGE = 4096 };
    subject own = subject_open();
    own.status.st_dev++;
    char *many = mmap(NULL, (size_t)MAPPINGS * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(many, MAP_FAILED);
    for (size_t i = 0; i < MAPPINGS; i += 2)
        assert_int_equal(mprotect(many + i * PAGE, PAGE, PROT_READ), 0);
    uint64_t before = bytes_read_so_far();
    assert_true(pi_file_is_mapping(own.descriptor, &own.status, &own.mapping));
    assert_in_range(bytes_read_so_far() - before, 1, 16 * 1024);
    munmap(many, (size_t)MAPPINGS * PAGE);
    close(own.descriptor);
}

static void only_regular_files_are_mapped(void **state) {
    (void)state;
    subject own = subject_open();
    own.status.st_mode = S_IFCHR | 0600;
    assert_false(pi_file_may_be_mapping(&own.status, &own.mapping));
    close(own.descriptor);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_mapped_file),
        cmocka_unit_test(asks_maps_where_devices_differ),
        cmocka_unit_test(reads_a_page_of_maps),
        cmocka_unit_test(only_regular_files_are_mapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
