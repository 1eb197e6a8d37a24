/* SPDX-License-Identifier: MIT */
#include "json/json_check.h"

static const procinspect_kill_item given[] = {
    {.pid = 10, .parent_pid = 1, .outcome = PROCINSPECT_KILL_ENDED, .name = "a"},
    {.pid = 11, .parent_pid = 10, .outcome = PROCINSPECT_KILL_ALREADY_GONE, .name = ""},
    {12, 10, PROCINSPECT_KILL_REFUSED, 0, "b\xff", "may not"},
    {13, 12, PROCINSPECT_KILL_SURVIVED, 0, "c", "state D\n\"now\""},
    {14, 1, PROCINSPECT_KILL_ESCAPED, 0, "d", "\xc3("},
    {.pid = 15, .parent_pid = 1, .outcome = PROCINSPECT_KILL_NOT_TRIED, .name = "e"},
    {.pid = INT32_MAX, .parent_pid = INT32_MIN, .outcome = 99},
};
enum { GIVEN = sizeof given / sizeof given[0] };

static const procinspect_kill_item *items[GIVEN];

static procinspect_kill_report make_report(void) {
    for (size_t i = 0; i < GIVEN; i++)
        items[i] = &given[i];
    return (procinspect_kill_report){
        .items = items,
        .count = GIVEN,
        .pid = 10,
        .is_exact = 1,
        .ended_count = 1,
        .already_gone_count = 2,
        .refused_count = 3,
        .survived_count = 4,
        .escaped_count = UINT32_MAX,
        .read_at_ns = UINT64_MAX,
        .total_ns = 7,
    };
}

#define REPORT                                                                                     \
    "{\"pid\":10,\"is_exact\":true,\"ended_count\":1,\"already_gone_count\":2,"                    \
    "\"refused_count\":3,\"survived_count\":4,\"escaped_count\":4294967295,"                       \
    "\"read_at_ns\":9223372036854775807,\"total_ns\":7,\"items\":["                                \
    "{\"pid\":10,\"parent_pid\":1,\"name\":\"a\",\"outcome\":\"ended\",\"text\":null},"            \
    "{\"pid\":11,\"parent_pid\":10,\"name\":\"\",\"outcome\":\"already_gone\",\"text\":null},"     \
    "{\"pid\":12,\"parent_pid\":10,\"name\":\"b\xef\xbf\xbd\",\"outcome\":\"refused\","            \
    "\"text\":\"may not\"},"                                                                       \
    "{\"pid\":13,\"parent_pid\":12,\"name\":\"c\",\"outcome\":\"survived\","                       \
    "\"text\":\"state D\\n\\\"now\\\"\"},"                                                         \
    "{\"pid\":14,\"parent_pid\":1,\"name\":\"d\",\"outcome\":\"escaped\","                         \
    "\"text\":\"\xef\xbf\xbd(\"},"                                                                 \
    "{\"pid\":15,\"parent_pid\":1,\"name\":\"e\",\"outcome\":\"not_tried\",\"text\":null},"        \
    "{\"pid\":2147483647,\"parent_pid\":-2147483648,\"name\":null,\"outcome\":\"other\","          \
    "\"text\":null}]}"

static void members_have_their_own_names(void **state) {
    (void)state;
    const procinspect_kill_report report = make_report();
    const procinspect_json *json = NULL;
    assert_int_equal(procinspect_json_kill_report(&report, NULL, &json, NULL), 0);
    assert_string_equal(json->text, REPORT);
    procinspect_json_free(json);
}

static void a_report_that_is_not_exact(void **state) {
    (void)state;
    const procinspect_json *json = NULL;
    assert_int_equal(procinspect_json_kill_report(&(procinspect_kill_report){0}, NULL, &json, NULL),
                     0);
    json_t *object = parse_text(json);
    assert_members(object, "pid is_exact ended_count already_gone_count refused_count "
                           "survived_count escaped_count read_at_ns total_ns items");
    assert_true(json_is_false(json_object_get(object, "is_exact")));
    assert_size(object, "items", 0);
    json_decref(object);
}

static void a_problem_that_has_the_report(void **state) {
    (void)state;
    const procinspect_kill_report report = make_report();
    const procinspect_json *json = NULL;
    assert_int_equal(procinspect_json_kill_problem(500, "x", &report, NULL, &json, NULL), 0);
    assert_string_equal(json->text, "{\"type\":\"about:blank\",\"title\":\"Internal Server Error\","
                                    "\"status\":500,\"detail\":\"x\",\"Message\":\"x\","
                                    "\"ExceptionMessage\":\"x\",\"report\":" REPORT "}");
    procinspect_json_free(json);
}

static void arguments_that_are_refused(void **state) {
    (void)state;
    const procinspect_kill_report report = make_report();
    const procinspect_json *json = NULL;
    procinspect_error error;
    assert_int_equal(procinspect_json_kill_report(NULL, NULL, &json, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(procinspect_json_kill_report(&report, NULL, NULL, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(procinspect_json_kill_problem(500, "x", NULL, NULL, &json, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(procinspect_json_kill_problem(500, NULL, &report, NULL, &json, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(procinspect_json_kill_problem(399, "x", &report, NULL, &json, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "400 to 599"));
    assert_null(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_have_their_own_names),
        cmocka_unit_test(a_report_that_is_not_exact),
        cmocka_unit_test(a_problem_that_has_the_report),
        cmocka_unit_test(arguments_that_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
