/* SPDX-License-Identifier: MIT */
#include "http/client.h"

#include <stdio.h>
#include <unistd.h>

#include "http/instance.h"

static procinspect_http *make_instance(const char *id) {
    procinspect_context_options context_options = permissive_options();
    procinspect_http_options options;
    procinspect_http_options_init(&options, sizeof options);
    options.instance_id = id;
    return make_handler(&context_options, &options);
}

static http_reply request_with_cookie(const procinspect_http *http, const char *cookie,
                                      const char *base_url) {
    procinspect_http_request asked;
    procinspect_http_request_init(&asked, sizeof asked);
    asked.method = "GET";
    asked.path = "/api/processes/x";
    asked.path_length_bytes = strlen(asked.path);
    asked.cookie = cookie;
    asked.base_url = base_url;
    return request_full(http, &asked);
}

static void without_an_instance_there_are_no_headers(void **state) {
    (void)state;
    unsetenv("WEBSITE_INSTANCE_ID");
    static const char *const ids[] = {NULL, ""};
    for (size_t i = 0; i < 2; i++) {
        procinspect_http *http = make_instance(ids[i]);
        http_reply reply = request_with_cookie(http, "ARRAffinity=abc", NULL);
        assert_int_equal(reply.response->header_count, 1);
        reply_free(&reply);
        procinspect_http_free(http);
    }
}

static void every_answer_names_the_instance(void **state) {
    (void)state;
    procinspect_http *http = make_instance("0a1B-2_c.3");
    static const char *const targets[] = {"/api/processes",        "/api/processes/0",
                                          "/api/processes/x",      "/nowhere",
                                          "/api/processes/1/stop", "/%"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        for (int head = 0; head < 2; head++) {
            http_reply reply = request(http, head ? "HEAD" : "GET", targets[i]);
            assert_string_equal(header_of(&reply, "X-Instance-Id"), "0a1B-2_c.3");
            assert_string_equal(header_of(&reply, "Set-Cookie"),
                                "ARRAffinity=0a1B-2_c.3; Path=/; HttpOnly; SameSite=Lax");
            reply_free(&reply);
        }
    }
    procinspect_http_free(http);
}

static void the_environment_names_it_where_the_host_does_not(void **state) {
    (void)state;
    assert_int_equal(setenv("WEBSITE_INSTANCE_ID", "from-env", 1), 0);
    procinspect_http *http = make_instance(NULL);
    http_reply reply = request_with_cookie(http, NULL, NULL);
    assert_string_equal(header_of(&reply, "X-Instance-Id"), "from-env");
    reply_free(&reply);
    procinspect_http_free(http);
    http = make_instance("own");
    reply = request_with_cookie(http, NULL, NULL);
    assert_string_equal(header_of(&reply, "X-Instance-Id"), "own");
    reply_free(&reply);
    procinspect_http_free(http);
    unsetenv("WEBSITE_INSTANCE_ID");
}

static void a_cookie_that_is_there_is_not_set_again(void **state) {
    (void)state;
    static const char *const have_it[] = {"ARRAffinity=abc", "a=b; ARRAffinity=abc; c=d",
                                          "a=b;ARRAffinity=abc", "ARRAffinity=abc;"};
    static const char *const lack_it[] = {NULL,
                                          "",
                                          ";;; ;",
                                          "ARRAffinity",
                                          "ARRAffinity=",
                                          "ARRAffinity=abcd",
                                          "ARRAffinity=ab",
                                          "xARRAffinity=abc",
                                          "ARRAffinity =abc",
                                          "arraffinity=abc",
                                          "ARRAffinity=ABC",
                                          "a=ARRAffinity=abc"};
    procinspect_http *http = make_instance("abc");
    for (size_t i = 0; i < sizeof have_it / sizeof have_it[0]; i++) {
        http_reply reply = request_with_cookie(http, have_it[i], NULL);
        assert_null(header_of(&reply, "Set-Cookie"));
        assert_string_equal(header_of(&reply, "X-Instance-Id"), "abc");
        reply_free(&reply);
    }
    for (size_t i = 0; i < sizeof lack_it / sizeof lack_it[0]; i++) {
        http_reply reply = request_with_cookie(http, lack_it[i], NULL);
        assert_non_null(header_of(&reply, "Set-Cookie"));
        reply_free(&reply);
    }
    procinspect_http_free(http);
}

static void over_https_the_cookie_is_secure(void **state) {
    (void)state;
    procinspect_http *http = make_instance("abc");
    http_reply reply = request_with_cookie(http, NULL, "https://site.example");
    assert_string_equal(header_of(&reply, "Set-Cookie"),
                        "ARRAffinity=abc; Path=/; HttpOnly; SameSite=Lax; Secure");
    reply_free(&reply);
    procinspect_http_free(http);
}

static void ids_that_do_not_fit_a_header_are_refused(void **state) {
    (void)state;
    char longest[130];
    memset(longest, 'x', 129);
    longest[129] = '\0';
    static const char *const bad[] = {"a b", "a\r\nX: y", "a;b", "\xc3\xa4", "a,b", "a=b"};
    procinspect_context *context = NULL;
    assert_int_equal(procinspect_context_new(NULL, &context, NULL), 0);
    for (size_t i = 0; i <= sizeof bad / sizeof bad[0]; i++) {
        const char *id = i == 0 ? longest : bad[i - 1];
        procinspect_http_options options;
        procinspect_http_options_init(&options, sizeof options);
        options.instance_id = id;
        procinspect_http *http = NULL;
        procinspect_error error;
        assert_int_equal(procinspect_http_new(context, &options, &http, &error),
                         PROCINSPECT_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "instance_id is '"));
        assert_int_equal(setenv("WEBSITE_INSTANCE_ID", id, 1), 0);
        assert_int_equal(procinspect_http_new(context, NULL, &http, &error),
                         PROCINSPECT_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "WEBSITE_INSTANCE_ID is '"));
        assert_null(http);
    }
    unsetenv("WEBSITE_INSTANCE_ID");
    procinspect_context_free(context);
    longest[128] = '\0';
    procinspect_http_free(make_instance(longest));
}

static void assert_file_name(const procinspect_http *http, const char *process_name,
                             const char *extension, const char *expected) {
    char file_name[PI_HTTP_FILE_NAME_CAPACITY];
    pi_http_dump_file_name(http, process_name, 1767323045, extension, file_name);
    assert_string_equal(file_name, expected);
}

static void file_names_have_safe_characters_only(void **state) {
    (void)state;
    procinspect_http *http = make_instance("abcdefgh");
    assert_file_name(http, "worker", "dmp", "worker-abcdef-01-02-03-04-05.dmp");
    assert_file_name(http, "a b/c\"d\r\ne;\xc3\xa4.x-y_Z", "zip",
                     "abcde.x-y_Z-abcdef-01-02-03-04-05.zip");
    assert_file_name(http, "\xef\xbf\xbd \n", "dmp", "process-abcdef-01-02-03-04-05.dmp");
    assert_file_name(http, NULL, "dmp", "process-abcdef-01-02-03-04-05.dmp");
    char name[5000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    char file_name[PI_HTTP_FILE_NAME_CAPACITY];
    pi_http_dump_file_name(http, name, 0, "dmp", file_name);
    assert_int_equal(strlen(file_name), 64 + strlen("-abcdef-01-01-00-00-00.dmp"));
    procinspect_http_free(http);
}

static void file_names_are_without_instances_the_hosts(void **state) {
    (void)state;
    unsetenv("WEBSITE_INSTANCE_ID");
    char host_name[256] = "", expected[128];
    assert_int_equal(gethostname(host_name, sizeof host_name - 1), 0);
    snprintf(expected, sizeof expected, "w-%.6s-01-02-03-04-05.dmp", host_name);
    procinspect_http *http = make_instance(NULL);
    assert_file_name(http, "w", "dmp", expected);
    procinspect_http_free(http);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_an_instance_there_are_no_headers),
        cmocka_unit_test(every_answer_names_the_instance),
        cmocka_unit_test(the_environment_names_it_where_the_host_does_not),
        cmocka_unit_test(a_cookie_that_is_there_is_not_set_again),
        cmocka_unit_test(over_https_the_cookie_is_secure),
        cmocka_unit_test(ids_that_do_not_fit_a_header_are_refused),
        cmocka_unit_test(file_names_have_safe_characters_only),
        cmocka_unit_test(file_names_are_without_instances_the_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
