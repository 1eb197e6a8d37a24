/* SPDX-License-Identifier: MIT */
#include "http/client.h"

#include "http/request.h"

static pi_http_exchange exchange;

static int32_t parse(const char *path, size_t path_length, const char *query, size_t query_length,
                     procinspect_error *error) {
    if (exchange.arena != NULL)
        pi_arena_free_root(pi_arena_root(exchange.arena));
    exchange = (pi_http_exchange){.arena = pi_arena_new(0, SIZE_MAX)};
    assert_non_null(exchange.arena);
    exchange.request.path = path;
    exchange.request.path_length_bytes = path_length;
    exchange.request.query = query;
    exchange.request.query_length_bytes = query_length;
    return pi_http_parse_target(&exchange, error);
}

static int free_exchange(void **state) {
    (void)state;
    if (exchange.arena != NULL)
        pi_arena_free_root(pi_arena_root(exchange.arena));
    exchange.arena = NULL;
    return 0;
}

static void assert_path(const char *path, const char *const *segments, size_t count) {
    procinspect_error error;
    assert_int_equal(parse(path, strlen(path), NULL, 0, &error), 0);
    assert_int_equal(exchange.segment_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(exchange.segments[i].bytes, segments[i]);
        assert_int_equal(exchange.segments[i].length, strlen(segments[i]));
    }
}

static void paths_are_split_and_then_decoded(void **state) {
    (void)state;
    assert_path("", NULL, 0);
    assert_path("*", NULL, 0);
    assert_path("a/b", NULL, 0);
    assert_path("/", (const char *const[]){""}, 1);
    assert_path("/a", (const char *const[]){"a"}, 1);
    assert_path("/a/", (const char *const[]){"a"}, 1);
    assert_path("/a//", (const char *const[]){"a", ""}, 2);
    assert_path("//a", (const char *const[]){"", "a"}, 2);
    assert_path("/a/b%2Fc/d", (const char *const[]){"a", "b/c", "d"}, 3);
    assert_path("/%41%6a%7A/+", (const char *const[]){"Ajz", "+"}, 2);
    assert_path("/%25%32%35", (const char *const[]){"%25"}, 1);
    assert_path("/../.", (const char *const[]){"..", "."}, 2);
}

/* As proxies are sent them. */
static void whole_urls(void **state) {
    (void)state;
    assert_path("http://host.example/a/b%20c", (const char *const[]){"a", "b c"}, 2);
    assert_path("HTTPS://[::1]:8780/a/", (const char *const[]){"a"}, 1);
    assert_path("http://user@host", NULL, 0);
    assert_path("http:///a", (const char *const[]){"a"}, 1);
    assert_path("http://", NULL, 0);
    assert_path("ftp://host/a", NULL, 0);
    assert_path("/http://host/a", (const char *const[]){"http:", "", "host", "a"}, 4);
    procinspect_error error;
    assert_int_equal(parse("http://host/a", 5, NULL, 0, &error), 0); /* "http:" */
    assert_int_equal(exchange.segment_count, 0);
}

static void a_segment_may_hold_a_nul(void **state) {
    (void)state;
    procinspect_error error;
    assert_int_equal(parse("/a%00b", 6, NULL, 0, &error), 0);
    assert_int_equal(exchange.segments[0].length, 3);
    assert_memory_equal(exchange.segments[0].bytes, "a\0b", 4);
    assert_int_equal(parse("/a\0b", 4, NULL, 0, &error), 0);
    assert_int_equal(exchange.segments[0].length, 3);
    assert_memory_equal(exchange.segments[0].bytes, "a\0b", 4);
}

static void more_segments_than_any_route_has_are_counted(void **state) {
    (void)state;
    procinspect_error error;
    assert_int_equal(parse("/1/2/3/4/5/6/7/8/9", 18, NULL, 0, &error), 0);
    assert_int_equal(exchange.segment_count, 9);
    assert_string_equal(exchange.segments[5].bytes, "6");
}

static void escapes_that_are_none_are_refused(void **state) {
    (void)state;
    static const char *const paths[] = {"/%",     "/a%",   "/%4",   "/%4/1",
                                        "/%zz",   "/%4g",  "/%-1",  "/%+1",
                                        "/% 1",   "/%%41", "/a/%",  "/1/2/3/4/5/6/7/%",
                                        "/%0x41", "/%",    "/a/%4/"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        procinspect_error error;
        assert_int_equal(parse(paths[i], strlen(paths[i]), NULL, 0, &error),
                         PROCINSPECT_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "The path has a '%'"));
        const char *query = paths[i] + 1;
        assert_int_equal(parse("/", 1, query, strlen(query), &error),
                         PROCINSPECT_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(error.message, "The query has a '%'"));
    }
}

static void an_escape_is_not_read_beyond_the_end(void **state) {
    (void)state;
    procinspect_error error;
    assert_int_equal(parse("/%41", 3, NULL, 0, &error), PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_int_equal(parse("/", 1, "a=%41", 4, &error), PROCINSPECT_ERROR_INVALID_ARGUMENT);
}

static void assert_parameter(size_t index, const char *name, const char *value) {
    assert_true(index < exchange.parameter_count);
    assert_string_equal(exchange.parameters[index].name.bytes, name);
    assert_string_equal(exchange.parameters[index].value.bytes, value);
    assert_int_equal(exchange.parameters[index].value.length, strlen(value));
}

static void queries(void **state) {
    (void)state;
    procinspect_error error;
    const char *query = "a=1&b=x+y%2B%26&c&=d&&e=f=g";
    assert_int_equal(parse("/", 1, query, strlen(query), &error), 0);
    assert_int_equal(exchange.parameter_count, 6);
    assert_parameter(0, "a", "1");
    assert_parameter(1, "b", "x y+&");
    assert_parameter(2, "c", "");
    assert_parameter(3, "", "d");
    assert_parameter(4, "", "");
    assert_parameter(5, "e", "f=g");
    assert_int_equal(parse("/", 1, "", 0, &error), 0);
    assert_int_equal(exchange.parameter_count, 0);
    assert_int_equal(parse("/", 1, "&", 1, &error), 0);
    assert_int_equal(exchange.parameter_count, 2);
}

static void targets_have_a_limit(void **state) {
    (void)state;
    enum { LONG = PI_HTTP_LONGEST_TARGET };
    char *text = malloc(LONG + 1);
    assert_non_null(text);
    memset(text, '/', LONG + 1);
    procinspect_error error;
    assert_int_equal(parse(text, LONG, NULL, 0, &error), 0);
    assert_int_equal(exchange.segment_count, LONG - 1);
    assert_int_equal(parse(text, LONG + 1, NULL, 0, &error), PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "The path is 8193 bytes long"));
    memset(text, '&', LONG + 1);
    assert_int_equal(parse("/", 1, text, LONG, &error), 0);
    assert_int_equal(exchange.parameter_count, LONG + 1);
    assert_int_equal(parse("/", 1, text, LONG + 1, &error), PROCINSPECT_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "The query is 8193 bytes long"));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_split_and_then_decoded),
        cmocka_unit_test(whole_urls),
        cmocka_unit_test(a_segment_may_hold_a_nul),
        cmocka_unit_test(more_segments_than_any_route_has_are_counted),
        cmocka_unit_test(escapes_that_are_none_are_refused),
        cmocka_unit_test(an_escape_is_not_read_beyond_the_end),
        cmocka_unit_test(queries),
        cmocka_unit_test(targets_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, free_exchange);
}
