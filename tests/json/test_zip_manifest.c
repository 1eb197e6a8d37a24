/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <procinspect.h>

static void what_is_there_and_what_is_missing(void **state) {
    (void)state;
    const procinspect_zip_file files[] = {
        {.name = "minidump.dmp",
         .size_bytes = 1000,
         .crc32 = 0xabc,
         .state = PROCINSPECT_ZIP_FILE_WHOLE},
        {.name = "a.so",
         .runtime = ".NET",
         .path = "/a\xff/a.so",
         .module_path = "/a/m.so",
         .build_id = "\x01\xfe",
         .build_id_length = 2,
         .module_build_id = "\x7f",
         .module_build_id_length = 1,
         .size_bytes = 7,
         .crc32 = UINT32_MAX,
         .state = PROCINSPECT_ZIP_FILE_CHANGED,
         .flags = PROCINSPECT_ZIP_FILE_FROM_TARGET,
         .reason = "Why \"so\"."},
        {.runtime = "JVM",
         .path = "/b",
         .module_path = "/c",
         .state = PROCINSPECT_ZIP_FILE_REFUSED,
         .reason = "No."},
        {.runtime = "CPython",
         .path = "/d",
         .module_path = "/e",
         .state = PROCINSPECT_ZIP_FILE_ABSENT,
         .reason = "Not."},
    };
    const procinspect_zip_file *items[] = {&files[0], &files[2], &files[1], &files[3]};
    const procinspect_zip_manifest manifest = {
        .items = items, .count = 4, .pid = 5, .more_count = 6, .captured_at_unix_ns = 7};
    const procinspect_json *json;
    assert_int_equal(procinspect_json_zip_manifest(&manifest, NULL, &json, NULL), 0);
    assert_string_equal(
        json->text,
        "{\"pid\":5,\"captured_at_unix_ns\":7,\"files\":["
        "{\"name\":\"minidump.dmp\",\"runtime\":null,\"path\":null,\"module_path\":null,"
        "\"module_build_id\":null,\"build_id\":null,\"size_bytes\":1000,\"crc32\":\"0x00000abc\","
        "\"from_target\":false,\"is_whole\":true,\"reason\":null},"
        "{\"name\":\"a.so\",\"runtime\":\".NET\",\"path\":\"/a\xef\xbf\xbd/a.so\","
        "\"module_path\":\"/a/m.so\",\"module_build_id\":\"7f\",\"build_id\":\"01fe\","
        "\"size_bytes\":7,\"crc32\":\"0xffffffff\",\"from_target\":true,\"is_whole\":false,"
        "\"reason\":\"Why \\\"so\\\".\"}],"
        "\"missing\":["
        "{\"runtime\":\"JVM\",\"path\":\"/b\",\"module_path\":\"/c\",\"module_build_id\":null,"
        "\"from_target\":false,\"is_there\":true,\"reason\":\"No.\"},"
        "{\"runtime\":\"CPython\",\"path\":\"/d\",\"module_path\":\"/e\","
        "\"module_build_id\":null,\"from_target\":false,\"is_there\":false,\"reason\":\"Not.\"}],"
        "\"more_count\":6}");
    procinspect_json_free(json);
}

static void null_is_refused(void **state) {
    (void)state;
    const procinspect_json *json = (const procinspect_json *)state;
    assert_int_equal(procinspect_json_zip_manifest(NULL, NULL, &json, NULL),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_ptr_equal(json, state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_and_what_is_missing),
        cmocka_unit_test(null_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
