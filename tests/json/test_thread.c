/* SPDX-License-Identifier: MIT */
#include "json/json_check.h"

static json_t *render(const procinspect_thread_info *info) {
    const procinspect_json *json = NULL;
    procinspect_error error;
    assert_int_equal(procinspect_json_thread(info, NULL, &json, &error), 0);
    return parse_text(json);
}

static const procinspect_thread_info full = {
    .known = PROCINSPECT_THREAD_EVERYTHING,
    .pid = 10,
    .tid = 12,
    .os_state = 'S',
    .priority = 25,
    .nice = 5,
    .wait_reason = PROCINSPECT_WAIT_DELAY,
    .start_time_unix_ns = INT64_C(1767323045000000000),
    .user_cpu_time_ns = UINT64_C(1500000000),
    .kernel_cpu_time_ns = UINT64_C(250000000),
    .name = "pool-1",
};

static const char members[] =
    "id href state process start_address current_priority base_priority priority_level start_time "
    "total_processor_time user_processor_time priviledged_processor_time wait_reason name os_state "
    "unavailable";

static void every_member_where_all_is_known(void **state) {
    (void)state;
    json_t *object = render(&full);
    assert_members(object, members);
    assert_number(object, "id", 12);
    assert_text(object, "href", "/api/processes/10/threads/12");
    assert_text(object, "state", "Wait");
    assert_text(object, "process", "/api/processes/10");
    assert_text(object, "start_address", NULL);
    assert_number(object, "current_priority", 5);
    assert_number(object, "base_priority", 5);
    assert_text(object, "priority_level", "BelowNormal");
    assert_text(object, "start_time", "2026-01-02T03:04:05.0000000Z");
    assert_text(object, "total_processor_time", "00:00:01.7500000");
    assert_text(object, "user_processor_time", "00:00:01.5000000");
    assert_text(object, "priviledged_processor_time", "00:00:00.2500000");
    assert_text(object, "wait_reason", "ExecutionDelay");
    assert_text(object, "name", "pool-1");
    assert_text(object, "os_state", "S");
    assert_members(json_object_get(object, "unavailable"), "start_address");
    json_decref(object);
}

static void nothing_known(void **state) {
    (void)state;
    procinspect_thread_info info = full;
    info.known = 0;
    json_t *object = render(&info);
    assert_members(object, members);
    static const char *const nulls[] = {"state",       "start_address", "priority_level",
                                        "wait_reason", "name",          "os_state"};
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++)
        assert_text(object, nulls[i], NULL);
    assert_number(object, "current_priority", -1);
    assert_number(object, "base_priority", -1);
    assert_text(object, "start_time", "0001-01-01T00:00:00");
    assert_text(object, "total_processor_time", "-00:00:01");
    assert_text(object, "user_processor_time", "-00:00:01");
    assert_text(object, "priviledged_processor_time", "-00:00:01");
    assert_int_equal(json_object_size(json_object_get(object, "unavailable")), 12);
    json_decref(object);
}

static void states_are_those_of_dotnet(void **state) {
    (void)state;
    static const struct {
        uint32_t letter;
        const char *state;
        const char *os_state;
    } cases[] = {
        {'R', "Running", "R"},    {'S', "Wait", "S"},       {'D', "Wait", "D"},
        {'T', "Wait", "T"},       {'t', "Wait", "t"},       {'I', "Wait", "I"},
        {'P', "Wait", "P"},       {'Z', "Terminated", "Z"}, {'X', "Terminated", "X"},
        {'x', "Terminated", "x"}, {'W', "Transition", "W"}, {'K', "Transition", "K"},
        {'?', "Unknown", "?"},    {0, "Unknown", "?"},      {0x1ff, "Unknown", "?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        procinspect_thread_info info = full;
        info.os_state = cases[i].letter;
        json_t *object = render(&info);
        assert_text(object, "state", cases[i].state);
        assert_text(object, "os_state", cases[i].os_state);
        if (strcmp(cases[i].state, "Wait") != 0)
            assert_text(object, "wait_reason",
                        "Cannot obtain wait reason unless thread is in waiting state");
        json_decref(object);
    }
}

static void wait_reasons(void **state) {
    (void)state;
    static const char *const expected[] = {
        [PROCINSPECT_WAIT_UNKNOWN] = "Unknown",
        [PROCINSPECT_WAIT_SUSPENDED] = "Suspended",
        [PROCINSPECT_WAIT_DELAY] = "ExecutionDelay",
        [PROCINSPECT_WAIT_NONE] = "Unknown",
        [4] = "Unknown", /* of a later version */
    };
    for (uint32_t i = 0; i < 5; i++) {
        procinspect_thread_info info = full;
        info.wait_reason = i;
        json_t *object = render(&info);
        assert_text(object, "wait_reason", expected[i]);
        json_decref(object);
    }
}

static void a_wait_reason_needs_the_state(void **state) {
    (void)state;
    procinspect_thread_info info = full;
    info.known = PROCINSPECT_THREAD_WAIT_REASON;
    json_t *object = render(&info);
    assert_text(object, "wait_reason", NULL);
    json_decref(object);
    info.known = PROCINSPECT_THREAD_STATE;
    object = render(&info);
    assert_text(object, "wait_reason", NULL);
    assert_text(object, "state", "Wait");
    json_decref(object);
}

static void priority_levels(void **state) {
    (void)state;
    static const struct {
        int32_t nice;
        const char *level;
    } cases[] = {
        {-20, "TimeCritical"}, {-16, "TimeCritical"}, {-15, "Highest"},   {-11, "Highest"},
        {-10, "AboveNormal"},  {-6, "AboveNormal"},   {-5, "Normal"},     {-1, "Normal"},
        {0, "Normal"},         {1, "BelowNormal"},    {5, "BelowNormal"}, {6, "Lowest"},
        {10, "Lowest"},        {11, "Idle"},          {19, "Idle"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        procinspect_thread_info info = full;
        info.nice = cases[i].nice;
        json_t *object = render(&info);
        assert_text(object, "priority_level", cases[i].level);
        assert_number(object, "current_priority", cases[i].nice);
        assert_number(object, "base_priority", cases[i].nice);
        json_decref(object);
    }
}

static void a_list_of_a_thousand(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    procinspect_thread_info *infos = calloc(COUNT, sizeof *infos);
    const procinspect_thread_info **items = calloc(COUNT, sizeof *items);
    assert_true(infos != NULL && items != NULL);
    for (int i = 0; i < COUNT; i++) {
        infos[i] = (procinspect_thread_info){
            .known = PROCINSPECT_THREAD_STATE, .pid = 10, .tid = 10 + i, .os_state = 'R'};
        items[i] = &infos[i];
    }
    infos[999].known = 0;
    const procinspect_json *json = NULL;
    assert_int_equal(procinspect_json_thread_list(&(procinspect_thread_list){items, COUNT, 10},
                                                  NULL, &json, NULL),
                     0);
    json_t *array = parse_text(json);
    assert_int_equal(json_array_size(array), COUNT);
    for (size_t i = 0; i < 999; i++) {
        assert_members(json_array_get(array, i), "id href state");
        assert_number(json_array_get(array, i), "id", (json_int_t)i + 10);
        assert_text(json_array_get(array, i), "state", "Running");
    }
    assert_members(json_array_get(array, 999), "id href state unavailable");
    json_decref(array);
    free(items);
    free(infos);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_where_all_is_known),
        cmocka_unit_test(nothing_known),
        cmocka_unit_test(states_are_those_of_dotnet),
        cmocka_unit_test(wait_reasons),
        cmocka_unit_test(a_wait_reason_needs_the_state),
        cmocka_unit_test(priority_levels),
        cmocka_unit_test(a_list_of_a_thousand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
