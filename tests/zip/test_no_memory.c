/* SPDX-License-Identifier: MIT */
/* Each allocation of a zip fails once, the library's, minizip's and zlib's, in the thread that
 * reads and where workers are started. */
#include "zip/zip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "zip/failing_memory.h"
#include "zip/made_up.h"
#include "zip/own_tasks.h"

enum { ENTRIES = 40, WORKERS = 4, MOST_ALLOCATIONS = 1000 };

static made_up sources[ENTRIES];

/* Its length, or an error's code; *error says it. */
static int64_t make_zip(procinspect_error *error) {
    static unsigned char part[64 * 1024];
    pi_zip_entry entries[ENTRIES];
    pi_zip *zip = NULL;
    int64_t total = 0;
    size_t length = 1;
    for (size_t i = 0; i < ENTRIES; i++) {
        made_up_init(&sources[i], MADE_UP_IMAGE, i == 1 ? 1500000 : 300);
        entries[i] =
            made_up_entry("a name that is long enough to fill minizip's first block of the "
                          "central directory, and more",
                          &sources[i]);
    }
    int32_t code = pi_zip_new(&(pi_zip_options){entries, ENTRIES, 1, WORKERS, 0}, &zip, error);
    while (code == 0 && length != 0) {
        code = pi_zip_read(zip, part, sizeof part, &length, error);
        total += code == 0 ? (int64_t)length : 0;
    }
    pi_zip_free(zip);
    return code == 0 ? total : code;
}

static void fail_each(bool and_on) {
    procinspect_error error = {0};
    size_t tasks = own_task_count(), descriptors = own_descriptor_count();
    int64_t expected = make_zip(&error), refused = 0, done_anyway = 0;
    assert_true(expected > 0);
    size_t live = failing_memory_live_count();
    bool has_failed = true;
    for (size_t number = 0; has_failed; number++) {
        assert_true(number < MOST_ALLOCATIONS);
        error = (procinspect_error){0};
        failing_memory_begin(number, and_on);
        int64_t made = make_zip(&error);
        has_failed = failing_memory_end();
        if (made == PROCINSPECT_ERROR_NO_MEMORY) {
            assert_int_equal(error.code, PROCINSPECT_ERROR_NO_MEMORY);
            assert_true(strlen(error.message) > 10);
            refused++;
        } else { /* with fewer threads, say */
            assert_int_equal(made, expected);
            done_anyway += has_failed;
        }
        assert_own_tasks(tasks);
        assert_int_equal(own_descriptor_count(), descriptors);
        assert_int_equal(failing_memory_live_count(), live);
    }
    assert_true(refused > 20);
    assert_true(and_on || done_anyway > 10);
}

static void one_allocation_fails(void **state) {
    (void)state;
    if (!failing_memory_is_there)
        skip();
    fail_each(false);
}

static void all_from_one_on_fail(void **state) {
    (void)state;
    if (!failing_memory_is_there)
        skip();
    fail_each(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_allocation_fails),
        cmocka_unit_test(all_from_one_on_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
