/* SPDX-License-Identifier: MIT */
#include "json/json_check.h"

static const char members[] = "base_address file_name href file_version file_path "
                              "module_memory_size file_description product "
                              "product_version is_debug language build_id unavailable";

static const unsigned char build_id[] = {0x00, 0xAB, 0xcd, 0x0f};

static const procinspect_module_info full = {
    .known = PROCINSPECT_MODULE_EVERYTHING,
    .base_address = UINT64_C(0x7FFF0000ABCD),
    .size_bytes = 4096,
    .pid = 10,
    .path = "/usr/lib/libz.so.1.2.13",
    .file_name = "libz.so.1.2.13",
    .build_id = build_id,
    .build_id_length = sizeof build_id,
    .soname = "libz.so.1",
    .file_version = "1.2.13",
    .package_name = "zlib",
    .package_version = "1:1.2.13",
    .is_debug = 1,
};

static json_t *render(const procinspect_module_info *info) {
    const procinspect_json *json = NULL;
    procinspect_error error;
    assert_int_equal(procinspect_json_module(info, NULL, &json, &error), 0);
    return parse_text(json);
}

static void every_member_where_all_is_known(void **state) {
    (void)state;
    json_t *object = render(&full);
    assert_members(object, members);
    assert_text(object, "base_address", "7fff0000abcd");
    assert_text(object, "file_name", "libz.so.1.2.13");
    assert_text(object, "href", "/api/processes/10/modules/7fff0000abcd");
    assert_text(object, "file_version", "1.2.13");
    assert_text(object, "file_path", "/usr/lib/libz.so.1.2.13");
    assert_number(object, "module_memory_size", 4096);
    assert_text(object, "file_description", NULL);
    assert_text(object, "product", "zlib");
    assert_text(object, "product_version", "1:1.2.13");
    assert_true(json_is_true(json_object_get(object, "is_debug")));
    assert_text(object, "language", NULL);
    assert_text(object, "build_id", "00abcd0f");
    assert_members(json_object_get(object, "unavailable"), "file_description language");
    json_decref(object);
}

static void nothing_known(void **state) {
    (void)state;
    procinspect_module_info info = full;
    info.known = 0;
    json_t *object = render(&info);
    assert_members(object, members);
    assert_text(object, "base_address", "7fff0000abcd");
    assert_text(object, "file_name", "N/A");
    static const char *const nulls[] = {"file_version",    "file_path", "product",
                                        "product_version", "is_debug",  "build_id"};
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++)
        assert_text(object, nulls[i], NULL);
    assert_number(object, "module_memory_size", 4096);
    assert_int_equal(json_object_size(json_object_get(object, "unavailable")), 9);
    json_decref(object);
}

static void known_to_have_none_is_null_without_a_reason(void **state) {
    (void)state;
    const procinspect_module_info info = {.known = PROCINSPECT_MODULE_EVERYTHING,
                                          .base_address = UINT64_MAX,
                                          .size_bytes = UINT64_MAX,
                                          .pid = INT32_MAX,
                                          .path = "linux-gate.so",
                                          .file_name = "linux-gate.so"};
    json_t *object = render(&info);
    assert_text(object, "href", "/api/processes/2147483647/modules/ffffffffffffffff");
    assert_text(object, "file_version", NULL);
    assert_text(object, "product", NULL);
    assert_text(object, "build_id", NULL);
    assert_true(json_is_false(json_object_get(object, "is_debug")));
    assert_number(object, "module_memory_size", 2147483647);
    assert_members(json_object_get(object, "unavailable"), "file_description language");
    json_decref(object);
}

static void items_are_sorted_by_file_name_then_base(void **state) {
    (void)state;
    const uint64_t known = PROCINSPECT_MODULE_PATH | PROCINSPECT_MODULE_FILE_VERSION;
    const procinspect_module_info infos[] = {
        {.known = known, .base_address = 1, .file_name = "z"},
        {.known = known, .base_address = 9, .file_name = "a\nb"},
        {.known = known, .base_address = UINT64_C(0x100000000), .file_name = "a"},
        {.known = known, .base_address = 3, .file_name = "a"},
        {.known = 0, .base_address = 4},
    };
    const procinspect_module_info *items[5];
    for (size_t i = 0; i < 5; i++)
        items[i] = &infos[i];
    const procinspect_json *json = NULL;
    assert_int_equal(
        procinspect_json_module_list(&(procinspect_module_list){items, 5, 10}, NULL, &json, NULL),
        0);
    json_t *array = parse_text(json);
    static const char *const bases[] = {"4", "3", "100000000", "9", "1"};
    for (size_t i = 0; i < 5; i++)
        assert_text(json_array_get(array, i), "base_address", bases[i]);
    assert_members(json_array_get(array, 1), "base_address file_name href file_version");
    assert_text(json_array_get(array, 3), "file_name", "a\nb");
    assert_text(json_array_get(array, 0), "file_name", "N/A");
    json_decref(array);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_where_all_is_known),
        cmocka_unit_test(nothing_known),
        cmocka_unit_test(known_to_have_none_is_null_without_a_reason),
        cmocka_unit_test(items_are_sorted_by_file_name_then_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
