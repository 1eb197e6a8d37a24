/* SPDX-License-Identifier: MIT */
#include "json/json_check.h"

static void a_problem_has_kudus_members_too(void **state) {
    (void)state;
    const procinspect_json *json = NULL;
    assert_int_equal(
        procinspect_json_problem(404, "Process with an Id of 9 is not running.", NULL, &json, NULL),
        0);
    assert_string_equal(json->text,
                        "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
                        "\"detail\":\"Process with an Id of 9 is not running.\","
                        "\"Message\":\"Process with an Id of 9 is not running.\","
                        "\"ExceptionMessage\":\"Process with an Id of 9 is not running.\"}");
    procinspect_json_free(json);
}

static void titles_follow_the_status(void **state) {
    (void)state;
    static const struct {
        uint32_t status;
        const char *title;
    } cases[] = {
        {400, "Bad Request"},       {401, "Unauthorized"},
        {403, "Forbidden"},         {405, "Method Not Allowed"},
        {409, "Conflict"},          {413, "Content Too Large"},
        {429, "Too Many Requests"}, {500, "Internal Server Error"},
        {501, "Not Implemented"},   {503, "Service Unavailable"},
        {418, "Client Error"},      {599, "Server Error"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const procinspect_json *json = NULL;
        assert_int_equal(procinspect_json_problem(cases[i].status, "\xff", NULL, &json, NULL), 0);
        json_t *object = parse_text(json);
        assert_number(object, "status", cases[i].status);
        assert_text(object, "title", cases[i].title);
        assert_text(object, "detail", "\xef\xbf\xbd");
        json_decref(object);
    }
}

static void a_status_that_is_no_error_is_refused(void **state) {
    (void)state;
    static const uint32_t statuses[] = {0, 200, 399, 600, UINT32_MAX};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        const procinspect_json *json = NULL;
        procinspect_error error;
        assert_int_equal(procinspect_json_problem(statuses[i], "x", NULL, &json, &error),
                         PROCINSPECT_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "400 to 599"));
        assert_null(json);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_problem_has_kudus_members_too),
        cmocka_unit_test(titles_follow_the_status),
        cmocka_unit_test(a_status_that_is_no_error_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
