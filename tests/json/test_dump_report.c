/* SPDX-License-Identifier: MIT */
#include "json/json_check.h"

static void members_have_their_own_names(void **state) {
    (void)state;
    const procinspect_dump_note notes[] = {
        {PROCINSPECT_DUMP_NOTE_LEFT_OUT, 0, "a"},
        {PROCINSPECT_DUMP_NOTE_SHORTENED, 11, "b"},
        {PROCINSPECT_DUMP_NOTE_UNREADABLE, 0, "c\xff"},
        {PROCINSPECT_DUMP_NOTE_THREAD_NOT_STOPPED, 12, "d"},
        {PROCINSPECT_DUMP_NOTE_PAUSE_EXCEEDED, 0, "e"},
        {99, 0, NULL},
        {PROCINSPECT_DUMP_NOTE_LIVE, 0, "f"},
    };
    const procinspect_dump_note *items[7];
    for (size_t i = 0; i < 7; i++)
        items[i] = &notes[i];
    const procinspect_dump_report report = {
        .pid = 1,
        .requested_type = 2,
        .effective_type = 3,
        .way = PROCINSPECT_DUMP_WAY_HOLD,
        .way_reason = "w",
        .size_bytes = UINT64_MAX,
        .memory_bytes = 5,
        .unreadable_memory_bytes = 6,
        .shared_memory_bytes = 17,
        .pause_copy_ns = 18999,
        .thread_count = 7,
        .module_count = 8,
        .restarted_call_count = UINT32_MAX,
        .captured_at_unix_ns = -10,
        .pause_ns = 11000,
        .pause_stop_ns = 12001,
        .pause_registers_ns = 13999,
        .pause_memory_ns = 14500,
        .pause_resume_ns = 15001,
        .total_ns = 16,
        .notes = items,
        .note_count = 7,
    };
    const procinspect_json *json = NULL;
    assert_int_equal(procinspect_json_dump_report(&report, NULL, &json, NULL), 0);
    assert_string_equal(
        json->text,
        "{\"pid\":1,\"requested_type\":2,\"effective_type\":3,\"way\":1,"
        "\"size_bytes\":9223372036854775807,\"memory_bytes\":5,\"unreadable_memory_bytes\":6,"
        "\"shared_memory_bytes\":17,"
        "\"thread_count\":7,\"module_count\":8,\"restarted_call_count\":4294967295,"
        "\"way_reason\":\"w\",\"captured_at_unix_ns\":-10,\"pause_ns\":11000,\"pause_stop_ns\":"
        "12001,"
        "\"pause_registers_ns\":13999,\"pause_memory_ns\":14500,\"pause_copy_ns\":18999,\"pause_"
        "resume_ns\":"
        "15001,\"total_ns\":16,"
        "\"pause_us\":{\"total\":11,\"stop\":12,\"registers\":13,\"memory\":14,\"copy\":18,"
        "\"resume\":15},"
        "\"notes\":[{\"kind\":\"left_out\",\"tid\":0,\"text\":\"a\"},"
        "{\"kind\":\"shortened\",\"tid\":11,\"text\":\"b\"},"
        "{\"kind\":\"unreadable\",\"tid\":0,\"text\":\"c\xef\xbf\xbd\"},"
        "{\"kind\":\"thread_not_stopped\",\"tid\":12,\"text\":\"d\"},"
        "{\"kind\":\"pause_exceeded\",\"tid\":0,\"text\":\"e\"},"
        "{\"kind\":\"other\",\"tid\":0,\"text\":null},"
        "{\"kind\":\"live\",\"tid\":0,\"text\":\"f\"}]}");
    procinspect_json_free(json);

    assert_int_equal(procinspect_json_dump_soft_errors(&report, NULL, &json, NULL), 0);
    json_error_t error;
    json_t *array = json_loadb(json->text, json->length_bytes, 0, &error);
    assert_int_equal(json_array_size(array), 7);
    assert_string_equal(json_string_value(json_object_get(json_array_get(array, 3), "kind")),
                        "thread_not_stopped");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(array, 3), "tid")), 12);
    json_decref(array);
    procinspect_json_free(json);
}

static void a_report_without_notes(void **state) {
    (void)state;
    const procinspect_json *json = NULL;
    assert_int_equal(procinspect_json_dump_report(&(procinspect_dump_report){0}, NULL, &json, NULL),
                     0);
    json_t *object = parse_text(json);
    assert_size(object, "notes", 0);
    json_decref(object);
}

static void an_estimate(void **state) {
    (void)state;
    const procinspect_dump_note note = {PROCINSPECT_DUMP_NOTE_NOT_COUNTED, 11, "a"};
    const procinspect_dump_note *const items[] = {&note};
    const procinspect_dump_estimate estimate = {
        .pid = 1,
        .requested_type = 2,
        .effective_type = 3,
        .way = PROCINSPECT_DUMP_WAY_COPY,
        .size_bytes = 4,
        .memory_bytes = 5,
        .shared_memory_bytes = 6,
        .thread_count = 7,
        .module_count = 8,
        .estimated_at_unix_ns = -9,
        .notes = items,
        .note_count = 1,
    };
    const procinspect_json *json = NULL;
    assert_int_equal(procinspect_json_dump_estimate(&estimate, NULL, &json, NULL), 0);
    assert_string_equal(json->text,
                        "{\"pid\":1,\"requested_type\":2,\"effective_type\":3,\"way\":2,"
                        "\"size_bytes\":4,\"memory_bytes\":5,\"shared_memory_bytes\":6,"
                        "\"thread_count\":7,\"module_count\":8,\"estimated_at_unix_ns\":-9,"
                        "\"notes\":[{\"kind\":\"not_counted\",\"tid\":11,\"text\":\"a\"}]}");
    procinspect_json_free(json);
    assert_int_equal(procinspect_json_dump_estimate(NULL, NULL, &json, NULL),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_have_their_own_names),
        cmocka_unit_test(a_report_without_notes),
        cmocka_unit_test(an_estimate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
