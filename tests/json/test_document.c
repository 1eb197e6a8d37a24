/* SPDX-License-Identifier: MIT */
/* What all procinspect_json_ calls share: options, hrefs, repair, running out of memory. */
#include "json/json_check.h"

#include <unistd.h>

static const procinspect_thread_info thread = {
    .known = PROCINSPECT_THREAD_EVERYTHING, .pid = 1, .tid = 2, .os_state = 'R', .name = "t"};

static const procinspect_json untouched;

static void assert_refused(const procinspect_thread_info *info,
                           const procinspect_json_options *options, const char *says) {
    const procinspect_json *json = &untouched;
    procinspect_error error;
    assert_int_equal(procinspect_json_thread(info, options, &json, &error),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(error.code, PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, says));
    assert_ptr_equal(json, &untouched);
}

static void bad_arguments_are_refused(void **state) {
    (void)state;
    assert_refused(NULL, NULL, "is NULL");
    assert_int_equal(procinspect_json_thread(&thread, NULL, NULL, NULL),
                     PROCINSPECT_ERROR_INVALID_ARGUMENT);

    procinspect_json_options options;
    procinspect_json_options_init(&options, sizeof options);
    options.flags = 0x4;
    assert_refused(&thread, &options, "unknown bits 0x4");
    options.flags = 0;
    options.struct_size = 0;
    assert_refused(&thread, &options, "procinspect_json_options_init");

    struct {
        procinspect_json_options known;
        uint64_t newer;
    } later;
    procinspect_json_options_init(&later.known, sizeof later);
    later.newer = 1;
    assert_refused(&thread, &later.known, "newer library");
}

static void every_call_refuses_null(void **state) {
    (void)state;
    const procinspect_json *json = &untouched;
    const int32_t refused = PROCINSPECT_ERROR_INVALID_ARGUMENT;
    assert_int_equal(procinspect_json_process_list(NULL, NULL, &json, NULL), refused);
    assert_int_equal(procinspect_json_process(NULL, NULL, &json, NULL), refused);
    assert_int_equal(procinspect_json_thread_list(NULL, NULL, &json, NULL), refused);
    assert_int_equal(procinspect_json_module_list(NULL, NULL, &json, NULL), refused);
    assert_int_equal(procinspect_json_module(NULL, NULL, &json, NULL), refused);
    assert_int_equal(procinspect_json_environment(NULL, NULL, &json, NULL), refused);
    assert_int_equal(procinspect_json_dump_report(NULL, NULL, &json, NULL), refused);
    assert_int_equal(procinspect_json_problem(400, NULL, NULL, &json, NULL), refused);
    assert_ptr_equal(json, &untouched);
    procinspect_json_free(NULL);
}

static void the_machine_is_named_by_itself(void **state) {
    (void)state;
    char host_name[256] = "";
    assert_int_equal(gethostname(host_name, sizeof host_name - 1), 0);
    const procinspect_process_info info = {.pid = 1};
    const procinspect_process_info *const items[] = {&info};
    const procinspect_json *json = NULL;
    assert_int_equal(
        procinspect_json_process_list(&(procinspect_process_list){items, 1}, NULL, &json, NULL), 0);
    json_t *array = parse_text(json);
    assert_text(json_array_get(array, 0), "machineName", host_name);
    json_decref(array);
}

static void options_are_repaired_and_of_any_length(void **state) {
    (void)state;
    enum { LONG = 70000 };
    char *url = malloc(LONG + 1);
    assert_non_null(url);
    memset(url, 'u', LONG);
    url[LONG - 1] = (char)0xff;
    url[LONG] = '\0';
    procinspect_json_options options;
    procinspect_json_options_init(&options, sizeof options);
    options.collection_url = url;
    const procinspect_json *json = NULL;
    assert_int_equal(procinspect_json_thread(&thread, &options, &json, NULL), 0);
    json_t *object = parse_text(json);
    const char *href = json_string_value(json_object_get(object, "process"));
    assert_int_equal(strlen(href), LONG - 1 + 3 + strlen("/1"));
    assert_string_equal(href + LONG - 2, "u\xef\xbf\xbd/1");
    json_decref(object);
    free(url);
}

static void indented_text_holds_the_same(void **state) {
    (void)state;
    procinspect_json_options options;
    procinspect_json_options_init(&options, sizeof options);
    const procinspect_json *compact = NULL;
    const procinspect_json *indented = NULL;
    assert_int_equal(procinspect_json_thread(&thread, &options, &compact, NULL), 0);
    options.flags = PROCINSPECT_JSON_INDENT;
    assert_int_equal(procinspect_json_thread(&thread, &options, &indented, NULL), 0);
    assert_null(strchr(compact->text, '\n'));
    assert_non_null(strstr(indented->text, "\n  \"id\": 2,\n"));
    json_t *one = parse_text(compact);
    json_t *other = parse_text(indented);
    assert_true(json_equal(one, other));
    json_decref(one);
    json_decref(other);
}

/* Around the sizes at which the text's memory grows; the sanitizer build sees a byte too few. */
static void texts_of_any_length(void **state) {
    (void)state;
    enum { LONGEST = 8300 };
    char *detail = malloc(LONGEST + 1);
    assert_non_null(detail);
    size_t empty_length = 0;
    for (size_t length = 0; length <= LONGEST; length++) {
        memset(detail, 'd', length);
        detail[length] = '\0';
        const procinspect_json *json = NULL;
        assert_int_equal(procinspect_json_problem(400, detail, NULL, &json, NULL), 0);
        if (length == 0)
            empty_length = json->length_bytes;
        assert_int_equal(json->length_bytes, empty_length + 3 * length);
        assert_int_equal(strlen(json->text), json->length_bytes);
        procinspect_json_free(json);
    }
    free(detail);
}

static size_t allocations_left;

static void *failing_malloc(size_t size) {
    return allocations_left != 0 && allocations_left-- != 0 ? malloc(size) : NULL;
}

/* Whichever allocation of jansson's fails: NO_MEMORY, nothing handed out, nothing lost (the
 * sanitizer build looks for leaks). */
static void out_of_memory_at_any_allocation(void **state) {
    (void)state;
    const procinspect_thread_info *const threads[] = {&thread};
    const procinspect_thread_list thread_list = {threads, 1, 1};
    const procinspect_environment_variable variable = {.name = "N", .value = "v"};
    const procinspect_environment_variable *const variables[] = {&variable};
    const procinspect_environment environment = {variables, 1, 1};
    const int32_t child = 5;
    const procinspect_process_info info = {.known = PROCINSPECT_PROCESS_EVERYTHING,
                                           .pid = 1,
                                           .name = "n",
                                           .child_pids = &child,
                                           .child_count = 1,
                                           .threads = &thread_list,
                                           .environment = &environment,
                                           .is_web_job = 1,
                                           .web_job_name = "w"};
    json_set_alloc_funcs(failing_malloc, free);
    size_t failures = 0;
    for (;; failures++) {
        assert_true(failures < 10000);
        allocations_left = failures;
        const procinspect_json *json = &untouched;
        procinspect_error error;
        int32_t code = procinspect_json_process(&info, NULL, &json, &error);
        if (code == 0) {
            procinspect_json_free(json);
            break;
        }
        assert_int_equal(code, PROCINSPECT_ERROR_NO_MEMORY);
        assert_int_equal(error.code, PROCINSPECT_ERROR_NO_MEMORY);
        assert_ptr_equal(json, &untouched);
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(failures > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(every_call_refuses_null),
        cmocka_unit_test(the_machine_is_named_by_itself),
        cmocka_unit_test(options_are_repaired_and_of_any_length),
        cmocka_unit_test(indented_text_holds_the_same),
        cmocka_unit_test(texts_of_any_length),
        cmocka_unit_test(out_of_memory_at_any_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
