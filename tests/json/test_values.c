/* SPDX-License-Identifier: MIT */
#include "json/json_check.h"

#include "json/values.h"

static void assert_instant(int64_t unix_ns, const char *expected) {
    char text[PI_INSTANT_CAPACITY];
    pi_format_instant(text, unix_ns);
    assert_string_equal(text, expected);
}

static void assert_span(int64_t ticks, const char *expected) {
    char text[PI_SPAN_CAPACITY];
    pi_format_span(text, ticks);
    assert_string_equal(text, expected);
}

static void instants_have_seven_digits(void **state) {
    (void)state;
    assert_instant(0, "1970-01-01T00:00:00.0000000Z");
    assert_instant(INT64_C(1767323045123456789), "2026-01-02T03:04:05.1234567Z");
    assert_instant(INT64_C(951782400000000100), "2000-02-29T00:00:00.0000001Z");
    assert_instant(INT64_C(951782400000000099), "2000-02-29T00:00:00.0000000Z");
    assert_instant(INT64_C(999999999), "1970-01-01T00:00:00.9999999Z");
}

static void instants_before_1970_are_cut_towards_the_past(void **state) {
    (void)state;
    assert_instant(-1, "1969-12-31T23:59:59.9999999Z");
    assert_instant(-100, "1969-12-31T23:59:59.9999999Z");
    assert_instant(-101, "1969-12-31T23:59:59.9999998Z");
    assert_instant(INT64_C(-1000000000), "1969-12-31T23:59:59.0000000Z");
    assert_instant(INT64_C(-2208988800000000000), "1900-01-01T00:00:00.0000000Z");
}

static void instants_at_the_limits_of_64_bits(void **state) {
    (void)state;
    assert_instant(INT64_MAX, "2262-04-11T23:47:16.8547758Z");
    assert_instant(INT64_MIN, "1677-09-21T00:12:43.1452241Z");
}

static void spans(void **state) {
    (void)state;
    assert_span(0, "00:00:00");
    assert_span(1, "00:00:00.0000001");
    assert_span(10000000, "00:00:01");
    assert_span(INT64_C(599999999), "00:00:59.9999999");
    assert_span(INT64_C(36000000000), "01:00:00");
    assert_span(INT64_C(863999999999), "23:59:59.9999999");
    assert_span(INT64_C(864000000000), "1.00:00:00");
    assert_span(INT64_C(123) * 864000000000 + 45000000, "123.00:00:04.5000000");
}

static void negative_spans(void **state) {
    (void)state;
    assert_span(-1, "-00:00:00.0000001");
    assert_span(-10000000, PI_UNKNOWN_SPAN);
    assert_span(INT64_C(-864000000000), "-1.00:00:00");
}

/* TimeSpan.MaxValue and MinValue, as .NET writes them. */
static void spans_at_the_limits_of_64_bits(void **state) {
    (void)state;
    assert_span(INT64_MAX, "10675199.02:48:05.4775807");
    assert_span(INT64_MIN, "-10675199.02:48:05.4775808");
}

static void assert_json_number(json_t *value, json_int_t expected) {
    assert_true(json_is_integer(value));
    assert_true(json_integer_value(value) == expected);
    json_decref(value);
}

static void sizes_and_counts_saturate(void **state) {
    (void)state;
    assert_json_number(pi_json_size(0), 0);
    assert_json_number(pi_json_size(INT64_MAX), INT64_MAX);
    assert_json_number(pi_json_size((uint64_t)INT64_MAX + 1), INT64_MAX);
    assert_json_number(pi_json_size(UINT64_MAX), INT64_MAX);
    assert_json_number(pi_json_count(0), 0);
    assert_json_number(pi_json_count(2147483647), 2147483647);
    assert_json_number(pi_json_count(UINT64_C(2147483648)), 2147483647);
    assert_json_number(pi_json_count(UINT64_MAX), 2147483647);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instants_have_seven_digits),
        cmocka_unit_test(instants_before_1970_are_cut_towards_the_past),
        cmocka_unit_test(instants_at_the_limits_of_64_bits),
        cmocka_unit_test(spans),
        cmocka_unit_test(negative_spans),
        cmocka_unit_test(spans_at_the_limits_of_64_bits),
        cmocka_unit_test(sizes_and_counts_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
