/* SPDX-License-Identifier: MIT */
#include "json/json_check.h"

static const char members[] =
    "id name href machineName user_name minidump parent children threads modules "
    "open_file_handles file_name command_line handle_count module_count thread_count start_time "
    "total_cpu_time user_cpu_time privileged_cpu_time working_set peak_working_set private_memory "
    "virtual_memory peak_virtual_memory paged_system_memory non_paged_system_memory paged_memory "
    "peak_paged_memory time_stamp environment_variables is_scm_site is_webjob description "
    "unavailable";

static json_t *render(const procinspect_process_info *info, uint32_t flags) {
    procinspect_json_options options;
    procinspect_json_options_init(&options, sizeof options);
    options.flags = flags;
    options.collection_url = "http://h/api/processes";
    options.machine_name = "box";
    const procinspect_json *json = NULL;
    procinspect_error error;
    assert_int_equal(procinspect_json_process(info, &options, &json, &error), 0);
    return parse_text(json);
}

static const procinspect_thread_info thread = {
    .known = PROCINSPECT_THREAD_STATE, .pid = 100, .tid = 101, .os_state = 'S'};
static const procinspect_thread_info *const threads[] = {&thread};
static const procinspect_thread_list thread_list = {threads, 1, 100};
static const procinspect_module_info module = {
    .known = PROCINSPECT_MODULE_PATH | PROCINSPECT_MODULE_FILE_VERSION,
    .base_address = 0x7F00ABC000,
    .pid = 100,
    .file_name = "libz.so.1.2.13",
    .file_version = "1.2.13",
};
static const procinspect_module_info *const modules[] = {&module};
static const procinspect_module_list module_list = {modules, 1, 100};
static const procinspect_open_file files[] = {{.descriptor = 0, .name = "/dev/null"},
                                              {.descriptor = 3, .name = "socket:[77]"}};
static const procinspect_open_file *const file_items[] = {&files[0], &files[1]};
static const procinspect_open_file_list file_list = {file_items, 2, 100};
static const procinspect_environment_variable variable = {.name = "HOME", .value = "/root"};
static const procinspect_environment_variable *const variables[] = {&variable};
static const procinspect_environment environment = {variables, 1, 100};
static const int32_t children[] = {111, 222};

static const procinspect_process_info full = {
    .known = PROCINSPECT_PROCESS_EVERYTHING,
    .pid = 100,
    .parent_pid = 50,
    .thread_count = 7,
    .open_file_count = 9,
    .start_time_unix_ns = INT64_C(1767323045120000000),
    .user_cpu_time_ns = UINT64_C(90061010000000),
    .kernel_cpu_time_ns = UINT64_C(20000000),
    .name = "worker",
    .user_name = "bob",
    .executable_path = "/usr/bin/worker",
    .command_line = "worker --all",
    .virtual_memory_bytes = 11,
    .peak_virtual_memory_bytes = 12,
    .resident_memory_bytes = 13,
    .peak_resident_memory_bytes = 14,
    .data_memory_bytes = 15,
    .swapped_memory_bytes = 16,
    .child_pids = children,
    .child_count = 2,
    .threads = &thread_list,
    .modules = &module_list,
    .open_files = &file_list,
    .environment = &environment,
    .is_management_site = 1,
    .is_web_job = 1,
    .web_job_name = "nightly",
    .web_job_type = "triggered",
};

static void assert_boolean(json_t *object, const char *name, int expected) {
    json_t *value = json_object_get(object, name);
    assert_true(json_is_boolean(value));
    assert_int_equal(json_is_true(value), expected);
}

static void every_member_where_all_is_known(void **state) {
    (void)state;
    json_t *object = render(&full, 0);
    assert_members(object, members);
    assert_number(object, "id", 100);
    assert_text(object, "name", "worker");
    assert_text(object, "href", "http://h/api/processes/100");
    assert_text(object, "machineName", "box");
    assert_text(object, "user_name", "bob");
    assert_text(object, "minidump", "http://h/api/processes/100/dump");
    assert_text(object, "parent", "http://h/api/processes/50");
    assert_text(object, "file_name", "/usr/bin/worker");
    assert_text(object, "command_line", "worker --all");
    assert_number(object, "handle_count", 9);
    assert_number(object, "module_count", 1);
    assert_number(object, "thread_count", 7);
    assert_text(object, "start_time", "2026-01-02T03:04:05.1200000Z");
    assert_text(object, "total_cpu_time", "1.01:01:01.0300000");
    assert_text(object, "user_cpu_time", "1.01:01:01.0100000");
    assert_text(object, "privileged_cpu_time", "00:00:00.0200000");
    assert_number(object, "virtual_memory", 11);
    assert_number(object, "peak_virtual_memory", 12);
    assert_number(object, "working_set", 13);
    assert_number(object, "peak_working_set", 14);
    assert_number(object, "private_memory", 15);
    assert_number(object, "paged_memory", 16);
    assert_boolean(object, "is_scm_site", 1);
    assert_boolean(object, "is_webjob", 1);
    assert_text(object, "description", "WebJob: nightly, Type: triggered");
    assert_members(json_object_get(object, "unavailable"),
                   "paged_system_memory non_paged_system_memory peak_paged_memory");
    assert_number(object, "paged_system_memory", -1);
    assert_number(object, "non_paged_system_memory", -1);
    assert_number(object, "peak_paged_memory", -1);
    const char *stamp = json_string_value(json_object_get(object, "time_stamp"));
    assert_int_equal(strlen(stamp), strlen("2026-01-02T03:04:05.1234567Z"));
    assert_true(strcmp(stamp, "2020") > 0);
    json_decref(object);
}

static void the_parts(void **state) {
    (void)state;
    json_t *object = render(&full, 0);
    json_t *child_array = json_object_get(object, "children");
    assert_int_equal(json_array_size(child_array), 2);
    assert_string_equal(json_string_value(json_array_get(child_array, 0)),
                        "http://h/api/processes/111");
    assert_string_equal(json_string_value(json_array_get(child_array, 1)),
                        "http://h/api/processes/222");

    json_t *thread_array = json_object_get(object, "threads");
    assert_int_equal(json_array_size(thread_array), 1);
    assert_members(json_array_get(thread_array, 0), "id href state");
    assert_text(json_array_get(thread_array, 0), "href", "http://h/api/processes/100/threads/101");

    json_t *module_array = json_object_get(object, "modules");
    assert_int_equal(json_array_size(module_array), 1);
    assert_members(json_array_get(module_array, 0), "base_address file_name href file_version");
    assert_text(json_array_get(module_array, 0), "href",
                "http://h/api/processes/100/modules/7f00abc000");

    json_t *file_array = json_object_get(object, "open_file_handles");
    assert_int_equal(json_array_size(file_array), 2);
    assert_string_equal(json_string_value(json_array_get(file_array, 0)), "/dev/null");
    assert_string_equal(json_string_value(json_array_get(file_array, 1)), "socket:[77]");

    assert_size(object, "environment_variables", 1);
    assert_text(json_object_get(object, "environment_variables"), "HOME", "/root");
    json_decref(object);
}

static void nothing_known_looks_like_nothing_real(void **state) {
    (void)state;
    const procinspect_unavailable refused = {
        PROCINSPECT_PROCESS_EXECUTABLE | PROCINSPECT_PROCESS_MODULES |
            PROCINSPECT_PROCESS_ENVIRONMENT,
        PROCINSPECT_ERROR_PERMISSION, 13, "The kernel refuses."};
    const procinspect_unavailable nameless = {PROCINSPECT_PROCESS_OPEN_FILES, PROCINSPECT_ERROR_IO,
                                              5, NULL};
    const procinspect_unavailable *const reasons[] = {&refused, &nameless};
    procinspect_process_info info = full;
    info.known = 0;
    info.unavailable = reasons;
    info.unavailable_count = 2;
    json_t *object = render(&info, 0);
    assert_members(object, members);
    static const char *const numbers[] = {
        "handle_count",        "module_count",      "thread_count",
        "working_set",         "private_memory",    "peak_working_set",
        "paged_memory",        "virtual_memory",    "paged_system_memory",
        "peak_virtual_memory", "peak_paged_memory", "non_paged_system_memory"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        assert_number(object, numbers[i], -1);
    static const char *const spans[] = {"total_cpu_time", "user_cpu_time", "privileged_cpu_time"};
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++)
        assert_text(object, spans[i], "-00:00:01");
    static const char *const nulls[] = {"name",        "user_name", "command_line",
                                        "is_scm_site", "is_webjob", "description"};
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++)
        assert_text(object, nulls[i], NULL);
    static const char *const empty[] = {"children", "threads", "modules", "open_file_handles",
                                        "environment_variables"};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++)
        assert_size(object, empty[i], 0);
    assert_text(object, "start_time", "0001-01-01T00:00:00");
    assert_text(object, "file_name", "N/A");
    assert_text(object, "parent", "http://h/api/processes/-1");

    json_t *unavailable = json_object_get(object, "unavailable");
    assert_int_equal(json_object_size(unavailable), 29);
    assert_text(unavailable, "file_name", "The kernel refuses.");
    assert_text(unavailable, "modules", "The kernel refuses.");
    assert_text(unavailable, "module_count", "The kernel refuses.");
    assert_text(unavailable, "environment_variables", "The kernel refuses.");
    assert_text(unavailable, "open_file_handles", "PROCINSPECT_ERROR_IO");
    assert_text(unavailable, "start_time", "Not asked for when this was read.");
    json_decref(object);
}

static void numbers_at_their_limits(void **state) {
    (void)state;
    procinspect_process_info info = full;
    info.pid = INT32_MAX;
    info.open_file_count = UINT32_MAX;
    info.thread_count = UINT32_C(2147483648);
    info.resident_memory_bytes = UINT64_MAX;
    info.data_memory_bytes = INT64_MAX;
    info.user_cpu_time_ns = UINT64_MAX;
    info.kernel_cpu_time_ns = 1;
    info.start_time_unix_ns = INT64_MIN;
    json_t *object = render(&info, 0);
    assert_number(object, "id", INT32_MAX);
    assert_text(object, "minidump", "http://h/api/processes/2147483647/dump");
    assert_number(object, "handle_count", 2147483647);
    assert_number(object, "thread_count", 2147483647);
    assert_number(object, "working_set", INT64_MAX);
    assert_number(object, "private_memory", INT64_MAX);
    assert_text(object, "user_cpu_time", "213503.23:34:33.7095516");
    assert_text(object, "total_cpu_time", "213503.23:34:33.7095516");
    assert_text(object, "start_time", "1677-09-21T00:12:43.1452241Z");
    json_decref(object);
}

static void a_process_without_a_parent(void **state) {
    (void)state;
    procinspect_process_info info = full;
    info.parent_pid = 0;
    json_t *object = render(&info, 0);
    assert_text(object, "parent", "http://h/api/processes/-1");
    assert_null(json_object_get(json_object_get(object, "unavailable"), "parent"));
    json_decref(object);
}

static void site_roles(void **state) {
    (void)state;
    procinspect_process_info info = full;
    info.web_job_type = NULL;
    json_t *object = render(&info, 0);
    assert_text(object, "description", "WebJob: nightly");
    json_decref(object);

    info.is_web_job = 0;
    info.is_management_site = 0;
    info.web_job_name = NULL;
    object = render(&info, 0);
    assert_boolean(object, "is_scm_site", 0);
    assert_boolean(object, "is_webjob", 0);
    assert_text(object, "description", NULL);
    assert_null(json_object_get(json_object_get(object, "unavailable"), "description"));
    json_decref(object);
}

static void redacted_values(void **state) {
    (void)state;
    json_t *object = render(&full, PROCINSPECT_JSON_REDACT);
    assert_text(json_object_get(object, "environment_variables"), "HOME", "[redacted]");
    assert_text(object, "description", NULL);
    assert_boolean(object, "is_webjob", 1);
    assert_non_null(json_object_get(json_object_get(object, "unavailable"), "description"));
    json_decref(object);

    /* There is nothing to redact in what isn't there. */
    procinspect_process_info info = full;
    info.is_web_job = 0;
    info.web_job_name = NULL;
    info.web_job_type = NULL;
    object = render(&info, PROCINSPECT_JSON_REDACT);
    assert_text(object, "description", NULL);
    assert_null(json_object_get(json_object_get(object, "unavailable"), "description"));
    json_decref(object);

    info = full;
    info.known &= ~PROCINSPECT_PROCESS_WEB_JOB;
    info.web_job_name = NULL;
    info.web_job_type = NULL;
    object = render(&info, 0);
    assert_text(object, "description", NULL);
    assert_boolean(object, "is_webjob", 1);
    assert_non_null(json_object_get(json_object_get(object, "unavailable"), "description"));
    json_decref(object);
}

/* What a caller who makes such a struct himself could get wrong. */
static void known_parts_that_are_not_there_are_empty(void **state) {
    (void)state;
    const procinspect_process_info info = {.known = PROCINSPECT_PROCESS_EVERYTHING, .pid = 1};
    json_t *object = render(&info, 0);
    assert_members(object, members);
    assert_text(object, "name", NULL);
    assert_size(object, "threads", 0);
    assert_size(object, "modules", 0);
    assert_number(object, "module_count", 0);
    assert_size(object, "open_file_handles", 0);
    assert_size(object, "environment_variables", 0);
    json_decref(object);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_where_all_is_known),
        cmocka_unit_test(the_parts),
        cmocka_unit_test(nothing_known_looks_like_nothing_real),
        cmocka_unit_test(numbers_at_their_limits),
        cmocka_unit_test(a_process_without_a_parent),
        cmocka_unit_test(site_roles),
        cmocka_unit_test(redacted_values),
        cmocka_unit_test(known_parts_that_are_not_there_are_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
