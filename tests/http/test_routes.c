/* SPDX-License-Identifier: MIT */
#include "http/client.h"

#include "http/request.h"
#include "http/routes.h"

static pi_http_match match(const char *method, const char *path, pi_http_handler *handler,
                           char *captured, const char **prefix, char *allow) {
    pi_http_exchange exchange = {.arena = pi_arena_new(0, SIZE_MAX)};
    assert_non_null(exchange.arena);
    exchange.request.method = method;
    exchange.request.path = path;
    exchange.request.path_length_bytes = strlen(path);
    exchange.is_head = strcmp(method, "HEAD") == 0;
    assert_int_equal(pi_http_parse_target(&exchange, NULL), 0);
    pi_http_match found = pi_http_find_route(&exchange, handler, prefix, allow);
    captured[0] = '\0';
    for (size_t i = 0; found == PI_HTTP_MATCHED && i < PI_HTTP_CAPTURES; i++)
        if (exchange.captures[i].bytes != NULL)
            strcat(strcat(captured, exchange.captures[i].bytes), "|");
    pi_arena_free_root(pi_arena_root(exchange.arena));
    return found;
}

static const struct {
    const char *method;
    const char *below;
    pi_http_handler handler;
    const char *captured;
} routes[] = {
    {"GET", "", pi_http_list_processes, ""},
    {"GET", "/5", pi_http_show_process, "5|"},
    {"DELETE", "/5", pi_http_end_process, "5|"},
    {"POST", "/5/stop", pi_http_end_process, "5|"},
    {"GET", "/5/threads", pi_http_list_threads, "5|"},
    {"GET", "/5/threads/6", pi_http_show_thread, "5|6|"},
    {"GET", "/-1/modules", pi_http_list_modules, "-1|"},
    {"GET", "/5/modules/7f", pi_http_show_module, "5|7f|"},
    {"GET", "/5/environments/all", pi_http_show_environment, "5|all|"},
    {"GET", "/0/dump", pi_http_send_dump, "0|"},
    {"GET", "/5/profile/start", pi_http_profile, "5|"},
    {"POST", "/5/profile/stop", pi_http_profile, "5|"},
    {"BREW", "/5/profile/stop", pi_http_profile, "5|"},
};

static void assert_found(const char *method, const char *path, pi_http_handler expected,
                         const char *expected_capture, const char *expected_prefix) {
    pi_http_handler handler = NULL;
    char captured[256], allow[PI_HTTP_ALLOW_CAPACITY];
    const char *prefix = NULL;
    if (match(method, path, &handler, captured, &prefix, allow) != PI_HTTP_MATCHED)
        fail_msg("%s %s is not found", method, path);
    assert_true(handler == expected);
    assert_string_equal(captured, expected_capture);
    assert_string_equal(prefix, expected_prefix);
}

static void every_route_under_every_alias(void **state) {
    (void)state;
    static const char *const prefixes[] = {"/api/processes", "/api/diagnostics/processes",
                                           "/diagnostics/processes"};
    for (size_t p = 0; p < 3; p++) {
        for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
            char path[128];
            strcat(strcpy(path, prefixes[p]), routes[i].below);
            assert_found(routes[i].method, path, routes[i].handler, routes[i].captured,
                         prefixes[p]);
            assert_found(routes[i].method, strcat(path, "/"), routes[i].handler, routes[i].captured,
                         prefixes[p]);
            if (strcmp(routes[i].method, "GET") == 0)
                assert_found("HEAD", path, routes[i].handler, routes[i].captured, prefixes[p]);
        }
    }
}

static void case_and_encoding_do_not_matter(void **state) {
    (void)state;
    assert_found("GET", "/API/Processes/5/THREADS/6", pi_http_show_thread, "5|6|",
                 "/api/processes");
    assert_found("GET", "/%61pi/process%65s/%35/dum%70", pi_http_send_dump, "5|", "/api/processes");
    assert_found("GET", "/Diagnostics/PROCESSES", pi_http_list_processes, "",
                 "/diagnostics/processes");
}

static void other_paths_are_none(void **state) {
    (void)state;
    static const char *const paths[] = {
        "",
        "/",
        "*",
        "api/processes",
        "/api",
        "/api/process",
        "/api/processesx",
        "/api/processes%00",
        "/api%2Fprocesses",
        "/xapi/processes",
        "//api/processes",
        "/api//processes",
        "/processes",
        "/diagnostics",
        "/api/diagnostics",
        "/api/processes/5/thread",
        "/api/processes/5/threads/6/7",
        "/api/processes/5/environments",
        "/api/processes/5/environments/",
        "/api/processes/5/dump/x",
        "/api/processes/5/profile",
        "/api/processes/5/profile/start/x",
        "/api/processes/5/stop/x",
        "/api/diagnostics/processes/5/threads/6/7",
        "/api/diagnostics/processes/5/threads/6/7/8/9",
        "/api/processes/../processes",
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        pi_http_handler handler;
        char captured[256], allow[PI_HTTP_ALLOW_CAPACITY];
        const char *prefix;
        if (match("GET", paths[i], &handler, captured, &prefix, allow) != PI_HTTP_NO_PATH)
            fail_msg("'%s' is found", paths[i]);
    }
}

static void other_methods_are_told_which_there_are(void **state) {
    (void)state;
    static const struct {
        const char *method;
        const char *path;
        const char *allow;
    } cases[] = {
        {"POST", "/api/processes", "GET, HEAD"},
        {"get", "/api/processes", "GET, HEAD"},
        {"Get", "/api/processes/1", "GET, HEAD, DELETE"},
        {"", "/api/processes/1", "GET, HEAD, DELETE"},
        {"PUT", "/api/processes/1", "GET, HEAD, DELETE"},
        {"GET", "/api/processes/1/stop", "POST"},
        {"HEAD", "/api/processes/1/stop", "POST"},
        {"DELETE", "/api/processes/1/dump", "GET, HEAD"},
        {"OPTIONS", "/api/processes/1/threads/1", "GET, HEAD"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pi_http_handler handler;
        char captured[256], allow[PI_HTTP_ALLOW_CAPACITY] = "";
        const char *prefix;
        assert_int_equal(match(cases[i].method, cases[i].path, &handler, captured, &prefix, allow),
                         PI_HTTP_NO_METHOD);
        assert_string_equal(allow, cases[i].allow);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_under_every_alias),
        cmocka_unit_test(case_and_encoding_do_not_matter),
        cmocka_unit_test(other_paths_are_none),
        cmocka_unit_test(other_methods_are_told_which_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
