/* SPDX-License-Identifier: MIT */
/* The routes on a recorded /proc, where every answer is known. */
#include "http/client.h"

#include "http/proc_tree.h"

static char *root;
static procinspect_http *http;

static int make_all(void **state) {
    (void)state;
    root = make_proc_tree();
    procinspect_context_options options = permissive_options();
    options.proc_root = root;
    options.allow |= PROCINSPECT_ALLOW_KILL; /* of what is only recorded */
    http = make_handler(&options, NULL);
    return 0;
}

static int free_all(void **state) {
    (void)state;
    procinspect_http_free(http);
    remove_proc_tree(root);
    return 0;
}

static const char *text_of(json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

static void the_list_is_sorted_and_links_to_the_objects(void **state) {
    (void)state;
    json_t *list = get_json(http, "/api/processes");
    assert_int_equal(json_array_size(list), 3);
    static const char *const names[] = {"Anvil", "b) R 1 (b\n", "worker"};
    static const char *const hrefs[] = {"/api/processes/17", "/api/processes/18",
                                        "/api/processes/4242"};
    for (size_t i = 0; i < 3; i++) {
        json_t *item = json_array_get(list, i);
        assert_string_equal(text_of(item, "name"), names[i]);
        assert_string_equal(text_of(item, "href"), hrefs[i]);
        assert_non_null(text_of(item, "user_name"));
        assert_non_null(text_of(item, "machineName"));
        assert_int_equal(json_object_size(item), 5);
    }
    json_decref(list);
}

static void one_process(void **state) {
    (void)state;
    json_t *object = get_json(http, "/api/processes/4242");
    assert_string_equal(text_of(object, "name"), "worker");
    assert_string_equal(text_of(object, "parent"), "/api/processes/17");
    assert_string_equal(text_of(object, "minidump"), "/api/processes/4242/dump");
    assert_string_equal(text_of(object, "file_name"), "/usr/bin/worker");
    assert_string_equal(text_of(object, "command_line"), "/usr/bin/worker --all");
    assert_string_equal(text_of(object, "start_time"), "2026-01-02T03:04:05.0000000Z");
    assert_string_equal(text_of(object, "total_cpu_time"), "00:00:01.7500000");
    assert_int_equal(json_integer_value(json_object_get(object, "working_set")), 1400 * 1024);
    assert_int_equal(json_integer_value(json_object_get(object, "paged_memory")), 40 * 1024);
    assert_int_equal(json_integer_value(json_object_get(object, "handle_count")), 2);
    assert_int_equal(json_integer_value(json_object_get(object, "thread_count")), 2);
    assert_int_equal(json_array_size(json_object_get(object, "threads")), 2);
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(object, "open_file_handles"), 1)),
        "socket:[77]");
    json_t *environment = json_object_get(object, "environment_variables");
    assert_string_equal(text_of(environment, "HOME"), "/root");
    json_decref(object);

    object = get_json(http, "/api/processes/17");
    assert_string_equal(text_of(object, "parent"), "/api/processes/-1");
    json_t *children = json_object_get(object, "children");
    assert_int_equal(json_array_size(children), 2);
    assert_string_equal(json_string_value(json_array_get(children, 0)), "/api/processes/18");
    json_decref(object);
}

static void threads(void **state) {
    (void)state;
    json_t *list = get_json(http, "/api/processes/4242/threads");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(text_of(json_array_get(list, 0), "state"), "Wait");
    assert_string_equal(text_of(json_array_get(list, 1), "state"), "Running");
    assert_string_equal(text_of(json_array_get(list, 1), "href"),
                        "/api/processes/4242/threads/4243");
    assert_int_equal(json_object_size(json_array_get(list, 1)), 3);
    json_decref(list);

    json_t *thread = get_json(http, "/api/processes/4242/threads/4243");
    assert_int_equal(json_integer_value(json_object_get(thread, "id")), 4243);
    assert_string_equal(text_of(thread, "name"), "pool-1");
    assert_string_equal(text_of(thread, "process"), "/api/processes/4242");
    assert_string_equal(text_of(thread, "os_state"), "R");
    assert_string_equal(text_of(thread, "wait_reason"),
                        "Cannot obtain wait reason unless thread is in waiting state");
    json_decref(thread);
    assert_problem(request(http, "GET", "/api/processes/4242/threads/9"), 404,
                   "Process 4242 has no thread with an Id of 9;");
    assert_problem(request(http, "GET", "/api/processes/4242/threads/0"), 404,
                   "Process 4242 has no thread with an Id of 0;");
}

static void modules(void **state) {
    (void)state;
    json_t *list = get_json(http, "/api/processes/4242/modules");
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    assert_problem(request(http, "GET", "/api/processes/4242/modules/7f00"), 404,
                   "Process 4242 has no module at base address 7f00;");
    assert_problem(request(http, "GET", "/api/processes/4242/modules/0"), 404,
                   "has no module at base address 0;");
}

static void assert_names(const char *target, const char *expected) {
    json_t *object = get_json(http, target);
    char names[256] = "";
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) strcat(strcat(names, name), " ");
    assert_string_equal(names, expected);
    json_decref(object);
}

static void environments_are_filtered_by_name(void **state) {
    (void)state;
    assert_names("/api/processes/4242/environments/all",
                 "PATH HOME path_info NAME ODD\xef\xbf\xbd ");
    assert_names("/api/processes/4242/environments/ALL/",
                 "PATH HOME path_info NAME ODD\xef\xbf\xbd ");
    assert_names("/api/processes/4242/environments/path", "PATH path_info ");
    assert_names("/api/processes/4242/environments/AtH", "PATH path_info ");
    assert_names("/api/processes/4242/environments/all%20", "");
    assert_names("/api/processes/4242/environments/%4eAme", "NAME ");
    assert_names("/api/processes/4242/environments/D%FF", "ODD\xef\xbf\xbd ");
    assert_names("/api/processes/4242/environments/%0a", "");
    json_t *object = get_json(http, "/api/processes/4242/environments/NAME");
    assert_string_equal(text_of(object, "NAME"), "first");
    json_decref(object);
}

static void values_are_redacted_when_asked(void **state) {
    (void)state;
    json_t *object = get_json(http, "/api/processes/4242/environments/home?redact=TRUE");
    assert_string_equal(text_of(object, "HOME"), "[redacted]");
    json_decref(object);
    object = get_json(http, "/api/processes/4242?Redact=true");
    assert_string_equal(text_of(json_object_get(object, "environment_variables"), "HOME"),
                        "[redacted]");
    json_decref(object);
    object = get_json(http, "/api/processes/4242/environments/home?redact=false");
    assert_string_equal(text_of(object, "HOME"), "/root");
    json_decref(object);
}

static void head_is_get_without_the_body(void **state) {
    (void)state;
    static const char *const targets[] = {
        "/api/processes",   "/api/processes/17/threads", "/api/processes/4242/environments/all",
        "/api/processes/9", "/api/processes/x",          "/api/nothing",
    };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        http_reply get = request(http, "GET", targets[i]);
        http_reply head = request(http, "HEAD", targets[i]);
        assert_int_equal(head.status, get.status);
        assert_null(head.response->body);
        assert_int_equal(head.response->body_size_bytes, get.body_length);
        assert_int_equal(head.response->header_count, get.response->header_count);
        assert_string_equal(header_of(&head, "Content-Type"), header_of(&get, "Content-Type"));
        reply_free(&get);
        reply_free(&head);
    }
}

static void hrefs_follow_the_base_and_the_alias(void **state) {
    (void)state;
    procinspect_http_request asked;
    procinspect_http_request_init(&asked, sizeof asked);
    asked.method = "GET";
    asked.path = "/API/Diagnostics/processes/17/";
    asked.path_length_bytes = strlen(asked.path);
    asked.base_url = "https://site.example:8443/mount";
    http_reply reply = request_full(http, &asked);
    json_t *object = json_of(&reply);
    assert_string_equal(text_of(object, "href"),
                        "https://site.example:8443/mount/api/diagnostics/processes/17");
    json_decref(object);
    reply_free(&reply);
    object = get_json(http, "/diagnostics/processes/17");
    assert_string_equal(text_of(object, "href"), "/diagnostics/processes/17");
    json_decref(object);
}

static void what_is_not_there_is_404(void **state) {
    (void)state;
    static const char *const below[] = {"",           "/threads", "/threads/1",       "/modules",
                                        "/modules/1", "/dump",    "/environments/all"};
    for (size_t i = 0; i < sizeof below / sizeof below[0]; i++) {
        char target[64] = "/api/processes/99999";
        http_reply reply = request(http, "GET", strcat(target, below[i]));
        json_t *problem = json_of(&reply);
        assert_string_equal(text_of(problem, "detail"),
                            "Process with an Id of 99999 is not running.");
        json_decref(problem);
        assert_problem(reply, 404, "");
    }
    assert_problem(request(http, "GET", "/api/nothing%0a"), 404,
                   "There is nothing at '/api/nothing%0a'");
    assert_problem(request(http, "DELETE", "/api/processes/99999"), 404, "99999 is not running.");
    assert_problem(request(http, "POST", "/api/processes/99999/stop"), 404,
                   "99999 is not running.");
    /* A thread's id is no process's. */
    assert_problem(request(http, "GET", "/api/processes/4243"), 404, "4243 is not running.");
}

static void other_methods_are_405(void **state) {
    (void)state;
    http_reply reply = request(http, "PUT", "/api/processes/17");
    assert_string_equal(header_of(&reply, "Allow"), "GET, HEAD, DELETE");
    assert_problem(reply, 405, "The method PUT is not for this path; use GET, HEAD, DELETE.");
    reply = request(http, "get\r\nX: y", "/api/processes/17/stop");
    assert_string_equal(header_of(&reply, "Allow"), "POST");
    assert_problem(reply, 405, "use POST.");
}

static void what_this_version_cannot_do_is_501(void **state) {
    (void)state;
    assert_problem(request(http, "DELETE", "/api/processes/4242"), 501, "proc_root");
    assert_problem(request(http, "DELETE", "/api/processes/4242?grace=5"), 501, "proc_root");
    assert_problem(request(http, "POST", "/api/processes/4242/stop"), 501, "proc_root");
    assert_problem(request(http, "GET", "/api/processes/4242/profile/start"), 501, "no profiler");
    assert_problem(request(http, "POST", "/api/processes/4242/profile/stop"), 501, "no profiler");
    assert_problem(request(http, "GET", "/api/processes/4242/dump?format=zip"), 501, "proc_root");
    assert_problem(request(http, "GET", "/api/processes/4242/dump?format=CORE"), 501,
                   "format=core");
    assert_problem(request(http, "GET", "/api/processes/4242/dump?dryRun=true"), 501, "proc_root");
    assert_problem(request(http, "GET", "/api/processes/4242/dump?redact=true"), 501, "proc_root");
    assert_problem(request(http, "GET", "/api/processes/4242/dump"), 501, "proc_root");
}

static void the_host_itself_is_not_in_this_tree(void **state) {
    (void)state;
    assert_problem(request(http, "GET", "/api/processes/0"), 404, "proc_root");
}

static int32_t site_of_the_moment;

static int32_t main_site(void *user) {
    assert_ptr_equal(user, &site_of_the_moment);
    return site_of_the_moment;
}

static void the_main_site(void **state) {
    (void)state;
    assert_problem(request(http, "GET", "/api/processes/-1"), 404, "set main_site_pid");

    procinspect_context_options context_options = permissive_options();
    context_options.proc_root = root;
    procinspect_http_options options;
    procinspect_http_options_init(&options, sizeof options);
    options.main_site_pid = 4242;
    procinspect_http *fixed = make_handler(&context_options, &options);
    json_t *object = get_json(fixed, "/api/processes/-1");
    assert_string_equal(text_of(object, "href"), "/api/processes/4242");
    json_decref(object);
    object = get_json(fixed, "/api/processes/-1/threads/4243");
    assert_string_equal(text_of(object, "href"), "/api/processes/4242/threads/4243");
    json_decref(object);
    procinspect_http_free(fixed);

    options.main_site_pid = 0;
    options.main_site = main_site;
    options.main_site_user = &site_of_the_moment;
    options.main_site_setting = "--main-site";
    procinspect_http *asking = make_handler(&context_options, &options);
    site_of_the_moment = 17;
    object = get_json(asking, "/api/processes/-1");
    assert_string_equal(text_of(object, "name"), "Anvil");
    json_decref(object);
    site_of_the_moment = 0;
    assert_problem(request(asking, "GET", "/api/processes/-1"), 404, "set --main-site");
    site_of_the_moment = 5;
    assert_problem(request(asking, "GET", "/api/processes/-1"), 404, "5 is not running.");
    procinspect_http_free(asking);
}

static size_t allocations_left;
static size_t failures_left;

static void *failing_malloc(size_t size) {
    if (allocations_left != 0) {
        allocations_left--;
    } else if (failures_left != 0) {
        failures_left--;
        return NULL;
    }
    return malloc(size);
}

/* Whichever allocation of the JSON layer fails: 503, or the call says that it can't even answer
 * that. */
static void out_of_memory(void **state) {
    (void)state;
    procinspect_http_request asked;
    procinspect_http_request_init(&asked, sizeof asked);
    asked.method = "GET";
    asked.path = "/api/processes/4242";
    asked.path_length_bytes = strlen(asked.path);
    json_set_alloc_funcs(failing_malloc, free);
    size_t count = 0, refused = 0;
    for (failures_left = 0; failures_left == 0; count++) {
        assert_true(count < 10000);
        allocations_left = count;
        failures_left = 1;
        const procinspect_http_response *response = NULL;
        assert_int_equal(procinspect_http_handle(http, &asked, &response, NULL), 0);
        /* A value that would have stood for an unknown one isn't missed. */
        assert_true(response->status == 503 || response->status == 200);
        refused += response->status == 503;
        procinspect_http_response_free(response);
    }
    assert_true(refused > 100 && refused < count);
    for (size_t i = 0; i < count - 1; i += 10) {
        allocations_left = i;
        failures_left = SIZE_MAX;
        const procinspect_http_response *response = NULL;
        assert_int_equal(procinspect_http_handle(http, &asked, &response, NULL),
                         PROCINSPECT_ERROR_NO_MEMORY);
        assert_null(response);
    }
    json_set_alloc_funcs(malloc, free);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_is_sorted_and_links_to_the_objects),
        cmocka_unit_test(one_process),
        cmocka_unit_test(threads),
        cmocka_unit_test(modules),
        cmocka_unit_test(environments_are_filtered_by_name),
        cmocka_unit_test(values_are_redacted_when_asked),
        cmocka_unit_test(head_is_get_without_the_body),
        cmocka_unit_test(hrefs_follow_the_base_and_the_alias),
        cmocka_unit_test(what_is_not_there_is_404),
        cmocka_unit_test(other_methods_are_405),
        cmocka_unit_test(what_this_version_cannot_do_is_501),
        cmocka_unit_test(the_host_itself_is_not_in_this_tree),
        cmocka_unit_test(the_main_site),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
