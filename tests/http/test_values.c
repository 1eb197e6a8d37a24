/* SPDX-License-Identifier: MIT */
#include "http/client.h"

#include "http/values.h"

static pi_http_text text_of(const char *bytes) {
    return (pi_http_text){bytes, strlen(bytes)};
}

static const int32_t refused = PROCINSPECT_ERROR_INVALID_ARGUMENT;

static void process_ids(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int32_t id;
    } cases[] = {{"-1", -1}, {"0", 0}, {"1", 1}, {"007", 7}, {"2147483647", INT32_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int32_t id = 99;
        assert_int_equal(pi_http_parse_process_id(text_of(cases[i].text), &id, NULL), 0);
        assert_int_equal(id, cases[i].id);
    }
    static const char *const bad[] = {"",
                                      "-2",
                                      "-0",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1\n",
                                      "1.0",
                                      "0x1",
                                      "1e3",
                                      "a",
                                      "--1",
                                      "-01",
                                      "\xd9\xa1",
                                      "2147483648",
                                      "18446744073709551616",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int32_t id = 99;
        procinspect_error error;
        assert_int_equal(pi_http_parse_process_id(text_of(bad[i]), &id, &error), refused);
        assert_int_equal(id, 99);
        assert_non_null(strstr(error.message, "is no process id; write"));
    }
    int32_t id = 99;
    assert_int_equal(pi_http_parse_process_id((pi_http_text){"1\0", 2}, &id, NULL), refused);
    assert_int_equal(pi_http_parse_process_id((pi_http_text){"-1\0", 3}, &id, NULL), refused);
}

static void thread_ids(void **state) {
    (void)state;
    int32_t id = 99;
    assert_int_equal(pi_http_parse_thread_id(text_of("0"), &id, NULL), 0);
    assert_int_equal(id, 0);
    assert_int_equal(pi_http_parse_thread_id(text_of("2147483647"), &id, NULL), 0);
    assert_int_equal(id, INT32_MAX);
    static const char *const bad[] = {"", "-1", "x", "1 ", "2147483648", "0x10"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(pi_http_parse_thread_id(text_of(bad[i]), &id, NULL), refused);
}

static void base_addresses(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t base;
    } cases[] = {{"0", 0},
                 {"7f00abc000", UINT64_C(0x7f00abc000)},
                 {"0X7F00ABC000", UINT64_C(0x7f00abc000)},
                 {"0x10", 16},
                 {"ffffffffffffffff", UINT64_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t base = 1;
        assert_int_equal(pi_http_parse_base_address(text_of(cases[i].text), &base, NULL), 0);
        assert_true(base == cases[i].base);
    }
    static const char *const bad[] = {
        "", "0x", "0x0x1", "g", "-1", " 1", "1 ", "1h", "10000000000000000"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t base;
        procinspect_error error;
        assert_int_equal(pi_http_parse_base_address(text_of(bad[i]), &base, &error), refused);
        assert_non_null(strstr(error.message, "hex"));
    }
}

static pi_http_parameter parameters[2];
static pi_http_exchange exchange = {.parameters = parameters};

static void set_parameters(const char *name, const char *first, const char *second) {
    parameters[0] = (pi_http_parameter){text_of(name), text_of(first)};
    exchange.parameter_count = 1;
    if (second != NULL) {
        parameters[1] = (pi_http_parameter){text_of(name), text_of(second)};
        exchange.parameter_count = 2;
    }
}

static void booleans(void **state) {
    (void)state;
    bool value = true;
    set_parameters("other", "1", NULL);
    assert_int_equal(pi_http_query_boolean(&exchange, "allUsers", &value, NULL), 0);
    assert_false(value);
    set_parameters("ALLusers", "True", NULL);
    assert_int_equal(pi_http_query_boolean(&exchange, "allUsers", &value, NULL), 0);
    assert_true(value);
    set_parameters("allUsers", "FALSE", NULL);
    assert_int_equal(pi_http_query_boolean(&exchange, "allUsers", &value, NULL), 0);
    assert_false(value);
    static const char *const bad[] = {"", "1", "0", "yes", "true ", "tru", "truee"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        procinspect_error error;
        set_parameters("allUsers", bad[i], NULL);
        assert_int_equal(pi_http_query_boolean(&exchange, "allUsers", &value, &error), refused);
        assert_non_null(strstr(error.message, "write true or false"));
    }
    procinspect_error error;
    set_parameters("allUsers", "true", "true");
    assert_int_equal(pi_http_query_boolean(&exchange, "allUsers", &value, &error), refused);
    assert_non_null(strstr(error.message, "more than once"));
}

static void numbers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t number;
    } cases[] = {
        {"0", 0}, {"2", 2}, {"0x1FFffff", 0x1ffffff}, {"0X10", 16}, {"4294967295", UINT32_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t number = 1;
        set_parameters("dumptype", cases[i].text, NULL);
        assert_int_equal(pi_http_query_number(&exchange, "dumpType", &number, NULL), 0);
        assert_int_equal(number, cases[i].number);
    }
    static const char *const bad[] = {"",   "0x",         "-1",          "1.5",
                                      "ff", "4294967296", "0x100000000", "18446744073709551616",
                                      "1 ", "full"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint32_t number = 1;
        procinspect_error error;
        set_parameters("dumpType", bad[i], NULL);
        assert_int_equal(pi_http_query_number(&exchange, "dumpType", &number, &error), refused);
        assert_non_null(strstr(error.message, "dumpType is '"));
    }
    exchange.parameter_count = 0;
    uint32_t number = 1;
    assert_int_equal(pi_http_query_number(&exchange, "dumpType", &number, NULL), 0);
    assert_int_equal(number, 0);
}

static void quotes_are_short_and_clean(void **state) {
    (void)state;
    char quote[PI_HTTP_QUOTE_CAPACITY];
    assert_string_equal(pi_http_quote(quote, (pi_http_text){"a\0\n\xff", 4}),
                        "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    char many[1000];
    memset(many, 'x', sizeof many);
    assert_int_equal(strlen(pi_http_quote(quote, (pi_http_text){many, sizeof many})),
                     PI_HTTP_QUOTE_CAPACITY - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(process_ids),    cmocka_unit_test(thread_ids),
        cmocka_unit_test(base_addresses), cmocka_unit_test(booleans),
        cmocka_unit_test(numbers),        cmocka_unit_test(quotes_are_short_and_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
