/* SPDX-License-Identifier: MIT */
/* How much memory a zip takes, and what becomes of it where there is none: in children, which have
 * limits of their own. */
#include "zip/zip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "zip/made_up.h"

enum { MIB = 1024 * 1024 };

#if defined(__SANITIZE_ADDRESS__)
static const bool is_sanitized =
    true; /* its allocator takes more, and ends the program at limits */
#else
static const bool is_sanitized = false;
#endif

static made_up source;

static int32_t open_one(uint64_t size_bytes, uint32_t workers, pi_zip **zip) {
    made_up_init(&source, MADE_UP_IMAGE, size_bytes);
    pi_zip_entry entry = made_up_entry("minidump.dmp", &source);
    return pi_zip_new(&(pi_zip_options){&entry, 1, 1, workers, 0}, zip, NULL);
}

/* Its length, negative for an error; the last four bytes of what is left out of it don't matter. */
static int64_t read_whole(pi_zip *zip) {
    static unsigned char part[64 * 1024];
    int64_t total = 0;
    size_t length = 1;
    while (length != 0) {
        int32_t code = pi_zip_read(zip, part, sizeof part, &length, NULL);
        if (code != 0)
            return code;
        total += (int64_t)length;
    }
    return total;
}

static uint64_t status_kib(const char *name) {
    char line[128];
    uint64_t value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtoull(line + strlen(name) + 1, NULL, 10);
    if (file != NULL)
        fclose(file);
    return value;
}

/* Whether the child that runs this answers true. */
static bool child_says(bool (*asked)(void)) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(asked() ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) == 0;
}

static bool most_workers_take_32_mib(void) {
    pi_zip *zip;
    uint64_t before_kib = status_kib("VmRSS");
    if (open_one(192 * MIB, PI_ZIP_MAX_WORKERS, &zip) != 0 || read_whole(zip) < 0)
        return false;
    uint64_t most_kib = status_kib("VmHWM");
    pi_zip_free(zip);
    return most_kib - before_kib < 32 * 1024;
}

static void it_takes_at_most_32_mib(void **state) {
    (void)state;
    if (is_sanitized)
        skip();
    assert_true(child_says(most_workers_take_32_mib));
}

static bool limit_address_space(uint64_t more_bytes) {
    rlim_t limit = status_kib("VmSize") * 1024 + more_bytes;
    return setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit}) == 0;
}

static bool refused_without_memory(void) {
    pi_zip *zip;
    return limit_address_space(64 * 1024) &&
           open_one(MIB, PI_ZIP_MAX_WORKERS, &zip) == PROCINSPECT_ERROR_NO_MEMORY;
}

static void without_memory_it_is_not_opened(void **state) {
    (void)state;
    if (is_sanitized)
        skip();
    assert_true(child_says(refused_without_memory));
}

/* Enough is left for `more_bytes` of threads and their compressors. */
static bool done_with_fewer_threads(uint64_t more_bytes) {
    pi_zip *zip, *expected;
    if (open_one(12 * MIB, 8, &expected) != 0)
        return false;
    int64_t length = read_whole(expected);
    pi_zip_free(expected);
    return open_one(12 * MIB, 8, &zip) == 0 && limit_address_space(more_bytes) &&
           read_whole(zip) == length && length > 0;
}

static bool done_without_threads(void) {
    return done_with_fewer_threads(0);
}

static bool done_with_two(void) {
    return done_with_fewer_threads(MIB);
}

static void where_no_thread_can_start_it_is_made_without(void **state) {
    (void)state;
    if (is_sanitized)
        skip();
    assert_true(child_says(done_without_threads));
    assert_true(child_says(done_with_two));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_takes_at_most_32_mib),
        cmocka_unit_test(without_memory_it_is_not_opened),
        cmocka_unit_test(where_no_thread_can_start_it_is_made_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
