/* SPDX-License-Identifier: MIT */
#include "json/json_check.h"

#include <stdio.h>

static char *render_text(const procinspect_environment *environment, uint32_t flags) {
    procinspect_json_options options;
    procinspect_json_options_init(&options, sizeof options);
    options.flags = flags;
    const procinspect_json *json = NULL;
    procinspect_error error;
    assert_int_equal(procinspect_json_environment(environment, &options, &json, &error), 0);
    char *text = strdup(json->text);
    assert_non_null(text);
    procinspect_json_free(json);
    return text;
}

static void names_and_values_in_their_order(void **state) {
    (void)state;
    const procinspect_environment_variable variables[] = {
        {.name = "Z", .value = "1"},
        {.name = "", .value = "no name"},
        {.name = "A=B", .value = "quote \" and \n"},
        {.name = "SECRET", .value = "", .is_redacted = 1},
        {.name = "EMPTY", .value = ""},
    };
    const procinspect_environment_variable *items[5];
    for (size_t i = 0; i < 5; i++)
        items[i] = &variables[i];
    const procinspect_environment environment = {items, 5, 1};
    char *text = render_text(&environment, 0);
    assert_string_equal(text, "{\"Z\":\"1\",\"\":\"no name\",\"A=B\":\"quote \\\" and \\n\","
                              "\"SECRET\":\"[redacted]\",\"EMPTY\":\"\"}");
    free(text);
    text = render_text(&environment, PROCINSPECT_JSON_REDACT);
    assert_string_equal(text, "{\"Z\":\"[redacted]\",\"\":\"[redacted]\",\"A=B\":\"[redacted]\","
                              "\"SECRET\":\"[redacted]\",\"EMPTY\":\"[redacted]\"}");
    free(text);
}

static void names_that_become_one_are_all_there(void **state) {
    (void)state;
    const procinspect_environment_variable variables[] = {
        {.name = "\xef\xbf\xbd", .value = "0"},
        {.name = "\xff", .value = "1"},
        {.name = "\xfe", .value = "2"},
        {.name = "N\xff", .value = "3"},
        {.name = "N\xef\xbf\xbd\xef\xbf\xbd", .value = "4"},
        {.name = "N\xfe", .value = "5"},
        {.name = "N\xef\xbf\xbd\xef\xbf\xbd", .value = "6"},
    };
    const procinspect_environment_variable *items[7];
    for (size_t i = 0; i < 7; i++)
        items[i] = &variables[i];
    char *text = render_text(&(procinspect_environment){items, 7, 1}, 0);
    assert_string_equal(text, "{\"\xef\xbf\xbd\":\"0\",\"\xef\xbf\xbd\xef\xbf\xbd\":\"1\","
                              "\"\xef\xbf\xbd\xef\xbf\xbd\x32\":\"2\",\"N\xef\xbf\xbd\":\"3\","
                              "\"N\xef\xbf\xbd\xef\xbf\xbd\":\"4\","
                              "\"N\xef\xbf\xbd\xef\xbf\xbd\x32\":\"5\","
                              "\"N\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\":\"6\"}");
    free(text);
}

/* As many as a target can make: neither time nor text grow with the square of their number. */
static void a_great_many_names_that_become_one(void **state) {
    (void)state;
    enum { COUNT = 50000 };
    procinspect_environment_variable variable = {.name = "\xff", .value = ""};
    const procinspect_environment_variable **items = calloc(COUNT, sizeof *items);
    assert_non_null(items);
    for (int i = 0; i < COUNT; i++)
        items[i] = &variable;
    const procinspect_json *json = NULL;
    assert_int_equal(procinspect_json_environment(&(procinspect_environment){items, COUNT, 1}, NULL,
                                                  &json, NULL),
                     0);
    assert_true(json->length_bytes < COUNT * 20);
    json_t *object = parse_text(json);
    assert_int_equal(json_object_size(object), COUNT);
    json_decref(object);
    free(items);
}

static void bytes_that_are_no_utf8_are_repaired(void **state) {
    (void)state;
    const procinspect_environment_variable variable = {
        .name = "\xc3(", .value = "\xed\xa0\x80 \xf0\x9f\x98\x80 \xe2\x82"};
    const procinspect_environment_variable *const items[] = {&variable};
    char *text = render_text(&(procinspect_environment){items, 1, 1}, 0);
    assert_string_equal(text, "{\"\xef\xbf\xbd(\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd "
                              "\xf0\x9f\x98\x80 \xef\xbf\xbd\xef\xbf\xbd\"}");
    free(text);
}

static void an_empty_environment(void **state) {
    (void)state;
    char *text = render_text(&(procinspect_environment){NULL, 0, 1}, 0);
    assert_string_equal(text, "{}");
    free(text);
}

static void ten_thousand_variables(void **state) {
    (void)state;
    enum { COUNT = 10000 };
    procinspect_environment_variable *variables = calloc(COUNT, sizeof *variables);
    const procinspect_environment_variable **items = calloc(COUNT, sizeof *items);
    char(*names)[16] = calloc(COUNT, sizeof *names);
    assert_true(variables != NULL && items != NULL && names != NULL);
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "NAME_%d", i);
        variables[i] = (procinspect_environment_variable){.name = names[i], .value = names[i]};
        items[i] = &variables[i];
    }
    const procinspect_json *json = NULL;
    assert_int_equal(procinspect_json_environment(&(procinspect_environment){items, COUNT, 1}, NULL,
                                                  &json, NULL),
                     0);
    json_t *object = parse_text(json);
    assert_int_equal(json_object_size(object), COUNT);
    assert_text(object, "NAME_0", "NAME_0");
    assert_text(object, "NAME_9999", "NAME_9999");
    json_decref(object);
    free(names);
    free(items);
    free(variables);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_in_their_order),
        cmocka_unit_test(names_that_become_one_are_all_there),
        cmocka_unit_test(a_great_many_names_that_become_one),
        cmocka_unit_test(bytes_that_are_no_utf8_are_repaired),
        cmocka_unit_test(an_empty_environment),
        cmocka_unit_test(ten_thousand_variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
