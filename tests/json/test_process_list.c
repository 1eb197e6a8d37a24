/* SPDX-License-Identifier: MIT */
#include "json/json_check.h"

static const uint64_t both = PROCINSPECT_PROCESS_NAME | PROCINSPECT_PROCESS_USER_NAME;

static json_t *render(const procinspect_process_list *list,
                      const procinspect_json_options *options) {
    const procinspect_json *json = NULL;
    procinspect_error error;
    assert_int_equal(procinspect_json_process_list(list, options, &json, &error), 0);
    return parse_text(json);
}

static void an_item_has_the_fixed_members(void **state) {
    (void)state;
    const procinspect_process_info info = {
        .known = both, .pid = 42, .name = "cat", .user_name = "alice"};
    const procinspect_process_info *const items[] = {&info};
    const procinspect_process_list list = {items, 1};
    procinspect_json_options options;
    procinspect_json_options_init(&options, sizeof options);
    options.collection_url = "https://site.example/api/processes";
    options.machine_name = "box";

    const procinspect_json *json = NULL;
    assert_int_equal(procinspect_json_process_list(&list, &options, &json, NULL), 0);
    assert_string_equal(json->text,
                        "[{\"id\":42,\"name\":\"cat\",\"href\":\"https://site.example/api/"
                        "processes/42\",\"machineName\":\"box\",\"user_name\":\"alice\"}]");
    assert_int_equal(json->length_bytes, strlen(json->text));
    procinspect_json_free(json);
}

static void unknown_members_are_null_and_explained(void **state) {
    (void)state;
    const procinspect_unavailable refused = {PROCINSPECT_PROCESS_USER_NAME,
                                             PROCINSPECT_ERROR_PERMISSION, 13, "Not yours."};
    const procinspect_unavailable *const reasons[] = {&refused};
    const procinspect_process_info info = {
        .pid = 1, .name = "ignored", .unavailable = reasons, .unavailable_count = 1};
    const procinspect_process_info *const items[] = {&info};
    json_t *array = render(&(procinspect_process_list){items, 1}, NULL);
    json_t *item = json_array_get(array, 0);
    assert_members(item, "id name href machineName user_name unavailable");
    assert_text(item, "name", NULL);
    assert_text(item, "user_name", NULL);
    assert_text(item, "href", "/api/processes/1");
    json_t *unavailable = json_object_get(item, "unavailable");
    assert_members(unavailable, "name user_name");
    assert_text(unavailable, "user_name", "Not yours.");
    assert_text(unavailable, "name", "Not asked for when this was read.");
    json_decref(array);
}

static void items_are_sorted_by_lower_cased_name_then_pid(void **state) {
    (void)state;
    const procinspect_process_info infos[] = {
        {.known = both, .pid = 9, .name = "b", .user_name = ""},
        {.known = both, .pid = 7, .name = "B", .user_name = ""},
        {.known = both, .pid = 8, .name = "ab", .user_name = ""},
        {.known = both, .pid = 5, .name = "\xc3\xa4", .user_name = ""},
        {.known = both, .pid = 6, .name = "A", .user_name = ""},
        {.known = 0, .pid = 3},
    };
    const procinspect_process_info *items[6];
    for (size_t i = 0; i < 6; i++)
        items[i] = &infos[i];
    json_t *array = render(&(procinspect_process_list){items, 6}, NULL);
    const json_int_t expected[] = {3, 6, 8, 7, 9, 5};
    assert_int_equal(json_array_size(array), 6);
    for (size_t i = 0; i < 6; i++)
        assert_number(json_array_get(array, i), "id", expected[i]);
    json_decref(array);
    assert_int_equal(items[0]->pid, 9); /* the caller's list is as it was */
}

static void an_empty_list_is_an_empty_array(void **state) {
    (void)state;
    const procinspect_json *json = NULL;
    assert_int_equal(
        procinspect_json_process_list(&(procinspect_process_list){NULL, 0}, NULL, &json, NULL), 0);
    assert_string_equal(json->text, "[]");
    procinspect_json_free(json);
}

static void two_thousand_items(void **state) {
    (void)state;
    enum { COUNT = 2000 };
    procinspect_process_info *infos = calloc(COUNT, sizeof *infos);
    const procinspect_process_info **items = calloc(COUNT, sizeof *items);
    assert_true(infos != NULL && items != NULL);
    for (int i = 0; i < COUNT; i++) {
        infos[i] = (procinspect_process_info){
            .known = both, .pid = COUNT - i, .name = "same", .user_name = "root"};
        items[i] = &infos[i];
    }
    json_t *array = render(&(procinspect_process_list){items, COUNT}, NULL);
    assert_int_equal(json_array_size(array), COUNT);
    for (size_t i = 0; i < COUNT; i++)
        assert_number(json_array_get(array, i), "id", (json_int_t)i + 1);
    json_decref(array);
    free(items);
    free(infos);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_item_has_the_fixed_members),
        cmocka_unit_test(unknown_members_are_null_and_explained),
        cmocka_unit_test(items_are_sorted_by_lower_cased_name_then_pid),
        cmocka_unit_test(an_empty_list_is_an_empty_array),
        cmocka_unit_test(two_thousand_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
