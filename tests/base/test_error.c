/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <errno.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/text.h"

static void an_error_is_filled_completely(void **state) {
    (void)state;
    procinspect_error error;
    memset(&error, 0xff, sizeof error);
    assert_int_equal(pi_error_set(&error, PROCINSPECT_ERROR_IO, EIO, "file %d: %s", 7, "broken"),
                     PROCINSPECT_ERROR_IO);
    assert_int_equal(error.code, PROCINSPECT_ERROR_IO);
    assert_int_equal(error.os_errno, EIO);
    assert_string_equal(error.message, "file 7: broken");
    static const char zeros[sizeof error.message];
    assert_memory_equal(error.reserved, zeros, sizeof error.reserved);
    assert_memory_equal(error.message + 14, zeros, sizeof error.message - 14);
}

static void nobody_has_to_listen(void **state) {
    (void)state;
    assert_int_equal(pi_error_set(NULL, PROCINSPECT_ERROR_GONE, 0, "%s", ""),
                     PROCINSPECT_ERROR_GONE);
    assert_int_equal(pi_error_no_memory(NULL), PROCINSPECT_ERROR_NO_MEMORY);
}

/* Characters of two, three and four bytes, shifted over the end of the message. */
static void a_long_message_is_cut_between_characters(void **state) {
    (void)state;
    static const char *const characters[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t kind = 0; kind < 3; kind++) {
        for (size_t shift = 0; shift < 4; shift++) {
            char text[600] = "";
            memset(text, 'a', shift);
            while (strlen(text) < 590)
                strcat(text, characters[kind]);
            procinspect_error error;
            pi_error_set(&error, PROCINSPECT_ERROR_IO, 0, "%s", text);
            size_t length = strlen(error.message);
            assert_in_range(length, sizeof error.message - 4, sizeof error.message - 1);
            assert_int_equal((length - shift) % strlen(characters[kind]), 0);
            assert_memory_equal(error.message, text, length);
        }
    }
}

static void system_errors_have_their_codes(void **state) {
    (void)state;
    static const struct {
        int os_errno;
        int32_t code;
    } cases[] = {
        {ENOMEM, PROCINSPECT_ERROR_NO_MEMORY},    {EMFILE, PROCINSPECT_ERROR_NO_RESOURCES},
        {ENFILE, PROCINSPECT_ERROR_NO_RESOURCES}, {EAGAIN, PROCINSPECT_ERROR_NO_RESOURCES},
        {ENOSPC, PROCINSPECT_ERROR_NO_RESOURCES}, {EPERM, PROCINSPECT_ERROR_PERMISSION},
        {EACCES, PROCINSPECT_ERROR_PERMISSION},   {ESRCH, PROCINSPECT_ERROR_GONE},
        {ENOENT, PROCINSPECT_ERROR_NOT_FOUND},    {EIO, PROCINSPECT_ERROR_IO},
        {ENOTDIR, PROCINSPECT_ERROR_IO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(pi_error_code_of_errno(cases[i].os_errno), cases[i].code);
}

static void codes_have_names(void **state) {
    (void)state;
    assert_string_equal(procinspect_error_name(PROCINSPECT_OK), "PROCINSPECT_OK");
    assert_string_equal(procinspect_error_name(PROCINSPECT_ERROR_INVALID_ARGUMENT),
                        "PROCINSPECT_ERROR_INVALID_ARGUMENT");
    assert_string_equal(procinspect_error_name(PROCINSPECT_ERROR_REPLACED),
                        "PROCINSPECT_ERROR_REPLACED");
    assert_string_equal(procinspect_error_name(PROCINSPECT_ERROR_IO), "PROCINSPECT_ERROR_IO");
    assert_string_equal(procinspect_error_name(1), "unknown");
    assert_string_equal(procinspect_error_name(-1000), "unknown");
    assert_string_equal(procinspect_error_name(INT32_MIN), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_is_filled_completely),
        cmocka_unit_test(nobody_has_to_listen),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
        cmocka_unit_test(system_errors_have_their_codes),
        cmocka_unit_test(codes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
