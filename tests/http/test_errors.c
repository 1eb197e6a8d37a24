/* SPDX-License-Identifier: MIT */
#include "http/client.h"

#include "http/errors.h"
#include "http/response.h"

static void every_code_has_its_status(void **state) {
    (void)state;
    static const struct {
        int32_t code;
        uint32_t status;
    } cases[] = {
        {PROCINSPECT_OK, 200},
        {PROCINSPECT_ERROR_INVALID_ARGUMENT, 400},
        {PROCINSPECT_ERROR_NOT_FOUND, 404},
        {PROCINSPECT_ERROR_GONE, 404},
        {PROCINSPECT_ERROR_REPLACED, 409},
        {PROCINSPECT_ERROR_POLICY, 403},
        {PROCINSPECT_ERROR_PERMISSION, 403},
        {PROCINSPECT_ERROR_TRACED, 409},
        {PROCINSPECT_ERROR_BUSY, 429},
        {PROCINSPECT_ERROR_TOO_LARGE, 413},
        {PROCINSPECT_ERROR_UNSUPPORTED, 501},
        {PROCINSPECT_ERROR_NO_MEMORY, 503},
        {PROCINSPECT_ERROR_NO_RESOURCES, 503},
        {PROCINSPECT_ERROR_TIMED_OUT, 503},
        {PROCINSPECT_ERROR_CANCELLED, 503},
        {PROCINSPECT_ERROR_IO, 500},
        {-1000, 500},
        {1, 500},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(pi_http_status_of(cases[i].code), cases[i].status);
}

static const procinspect_http http = {.instance_prefix = ""};

/* What a failure becomes, as a reply. */
static http_reply answer_to(int32_t code, const char *message, int32_t pid) {
    pi_http_exchange exchange = {.http = &http, .pid = pid, .response = pi_http_response_new()};
    assert_non_null(exchange.response);
    procinspect_error failure = {.code = code};
    strcpy(failure.message, message);
    /* What a handler had begun before it failed must not show. */
    assert_int_equal(pi_http_response_add_header(exchange.response, "Content-Type", "x/y", NULL),
                     0);
    assert_int_equal(
        procinspect_stream_open_bytes("half", 4, &exchange.response->public.body, NULL), 0);
    exchange.response->public.status = 200;
    assert_int_equal(pi_http_answer_failure(&exchange, &failure, NULL), 0);
    http_reply made = {.response = &exchange.response->public,
                       .status = exchange.response->public.status,
                       .body = calloc(1, 4096)};
    assert_non_null(made.body);
    assert_int_equal(
        procinspect_stream_read(made.response->body, made.body, 4095, &made.body_length, NULL), 0);
    assert_int_equal(made.response->body_size_bytes, made.body_length);
    return made;
}

static void a_failure_replaces_what_was_begun(void **state) {
    (void)state;
    assert_problem(answer_to(PROCINSPECT_ERROR_TRACED, "Traced by 7.", 5), 409, "Traced by 7.");
    http_reply reply = answer_to(PROCINSPECT_ERROR_IO, "x", 5);
    assert_int_equal(reply.response->header_count, 1);
    reply_free(&reply);
}

static void gone_is_said_in_kudus_words(void **state) {
    (void)state;
    assert_problem(answer_to(PROCINSPECT_ERROR_GONE, "whatever", 99999), 404,
                   "Process with an Id of 99999 is not running.");
    assert_problem(answer_to(PROCINSPECT_ERROR_GONE, "whatever", 0), 404, "whatever");
}

static void busy_says_when_to_try_again(void **state) {
    (void)state;
    http_reply reply = answer_to(PROCINSPECT_ERROR_BUSY, "Four at once.", 5);
    const char *seconds = header_of(&reply, "Retry-After");
    assert_non_null(seconds);
    assert_true(atoi(seconds) > 0);
    assert_problem(reply, 429, "Four at once.");
}

static void header_values_have_no_control_characters(void **state) {
    (void)state;
    pi_http_response *response = pi_http_response_new();
    assert_non_null(response);
    assert_int_equal(pi_http_response_add_header(response, "X", "a\r\nb\x7f\tc\xc3\xa4", NULL), 0);
    assert_string_equal(response->public.headers[0]->value, "a__b__c\xc3\xa4");
    assert_string_equal(response->public.headers[0]->name, "X");
    procinspect_http_response_free(&response->public);
    procinspect_http_response_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_status),
        cmocka_unit_test(a_failure_replaces_what_was_begun),
        cmocka_unit_test(gone_is_said_in_kudus_words),
        cmocka_unit_test(busy_says_when_to_try_again),
        cmocka_unit_test(header_values_have_no_control_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
