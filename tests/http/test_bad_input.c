/* SPDX-License-Identifier: MIT */
/* Whatever comes in: the contract's status, a text with the remedy, and nothing left open. */
#include "http/client.h"

#include <time.h>

#include "http/proc_tree.h"

static char *root;
static procinspect_http *http;

static int make_all(void **state) {
    (void)state;
    root = make_proc_tree();
    procinspect_context_options options = permissive_options();
    options.proc_root = root;
    http = make_handler(&options, NULL);
    return 0;
}

static int free_all(void **state) {
    (void)state;
    procinspect_http_free(http);
    remove_proc_tree(root);
    return 0;
}

static const char *const below_ids[] = {"",         "/threads",      "/threads/1",
                                        "/modules", "/modules/1",    "/environments/all",
                                        "/dump",    "/profile/start"};

static void ids(void **state) {
    (void)state;
    static const char *const bad[] = {
        "-2",         "-99999999999", "4294967296", "99999999999999999999999999999999",
        "2147483648", "0x10",         "0xff",       "1f",
        "%20",        "1%20",         "%201",       "1+",
        "+1",         "1.5",          "1e3",        "abc",
        "%00",        "1%00",         "4242%00",    "4242%0a",
        "%0a4242",    "%ff%fe",       "%E2%80%8B1", "4242%2fthreads",
        "self",       "-1%20",        "--1",        "*",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t j = 0; j < sizeof below_ids / sizeof below_ids[0]; j++) {
            char target[256] = "/api/processes/";
            strcat(strcat(target, bad[i]), below_ids[j]);
            assert_problem(request(http, "GET", target), 400, "is no process id; write");
        }
        char target[256] = "/api/processes/";
        assert_problem(request(http, "DELETE", strcat(target, bad[i])), 400, "no process id");
        assert_problem(request(http, "POST", strcat(target, "/stop")), 400, "no process id");
    }
    assert_problem(request(http, "GET", "/api/processes//"), 400, "'' is no process id");
    assert_problem(request(http, "GET", "/api/processes//threads"), 400, "'' is no process id");
}

static void thread_ids_and_bases(void **state) {
    (void)state;
    static const char *const bad_threads[] = {"-1", "0x1", "%20", "1%00", "2147483648", "x", "%0a"};
    static const char *const bad_bases[] = {
        "-1", "0x", "g", "%20", "1%00", "%0a1", "7f%2f", "10000000000000000", "0x0x1"};
    for (size_t i = 0; i < sizeof bad_threads / sizeof bad_threads[0]; i++) {
        char target[128] = "/api/processes/4242/threads/";
        assert_problem(request(http, "GET", strcat(target, bad_threads[i])), 400, "no thread id");
    }
    for (size_t i = 0; i < sizeof bad_bases / sizeof bad_bases[0]; i++) {
        char target[128] = "/api/processes/4242/modules/";
        assert_problem(request(http, "GET", strcat(target, bad_bases[i])), 400, "no base address");
    }
    assert_problem(request(http, "GET", "/api/processes/4242/threads//"), 400,
                   "'' is no thread id");
    assert_problem(request(http, "GET", "/api/processes/4242/modules//"), 400, "'' is no base");
}

static void queries(void **state) {
    (void)state;
    static const struct {
        const char *target;
        const char *says;
    } cases[] = {
        {"/api/processes?allUsers=maybe", "allUsers is 'maybe'"},
        {"/api/processes?allUsers=", "allUsers is ''"},
        {"/api/processes?allUsers", "allUsers is ''"},
        {"/api/processes?allUsers=true%00", "allUsers is 'true\xef\xbf\xbd'"},
        {"/api/processes?allUsers=true&ALLUSERS=false", "allUsers more than once"},
        {"/api/processes?%", "The query has a '%'"},
        {"/api/processes?a=%4", "The query has a '%'"},
        {"/api/processes?x=%zz&allUsers=true", "The query has a '%'"},
        {"/api/processes/4242?redact=2", "redact is '2'"},
        {"/api/processes/4242/environments/all?redact=%0d%0a", "redact is '"},
        {"/api/processes/4242/dump?dumpType=-1", "dumpType is '-1'"},
        {"/api/processes/4242/dump?dumpType=0x2000000", "bits 0x2000000"},
        {"/api/processes/4242/dump?format=rawzip", "format is 'rawzip'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_problem(request(http, "GET", cases[i].target), 400, cases[i].says);
    assert_problem(request(http, "DELETE", "/api/processes/4242?grace=-1"), 400, "grace is '-1'");
    /* What a route doesn't know it doesn't mind. */
    json_decref(get_json(http, "/api/processes?dumpType=x&a=b&a=c&=&&redact=7"));
}

static void filters(void **state) {
    (void)state;
    assert_problem(request(http, "GET", "/api/processes/4242/environments/a%00b"), 400, "NUL");
    assert_problem(request(http, "GET", "/api/processes/4242/environments//"), 400, "is empty");
    assert_problem(request(http, "GET", "/api/processes/4242/environments/%"), 400, "'%'");
    char target[1024] = "/api/processes/4242/environments/";
    size_t length = strlen(target);
    memset(target + length, 'x', 513);
    assert_problem(request(http, "GET", target), 400, "513 bytes long");
    target[length + 512] = '\0';
    json_decref(get_json(http, target));
}

static void escapes_cut_short(void **state) {
    (void)state;
    static const char *const paths[] = {"/api/processes/%",
                                        "/api/processes/%4",
                                        "/api/processes/4242%2",
                                        "/api/processes/4242/threads/%",
                                        "/%",
                                        "/nowhere/%g0",
                                        "/api/processes/1/2/3/4/5/6/7/%"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_problem(request(http, "GET", paths[i]), 400, "write a plain '%' as %25");
}

static double seconds_of(clock_t begin) {
    return (double)(clock() - begin) / CLOCKS_PER_SEC;
}

/* A mebibyte in every place: refused, without time that grows faster than the text. */
static void a_mebibyte(void **state) {
    (void)state;
    enum { MEBIBYTE = 1 << 20 };
    static const char *const prefixes[] = {
        "/",
        "/api/processes/",
        "/api/processes/4242/threads/",
        "/api/processes/4242/modules/",
        "/api/processes/4242/environments/",
        "/api/processes?",
        "/api/processes?allUsers=",
        "/api/processes/4242/dump?dumpType=",
    };
    static const char *const fills[] = {"1", "/", "%", "%41", "&", "=", "a=1&", "\xff", "+"};
    char *target = malloc(MEBIBYTE + 128);
    assert_non_null(target);
    clock_t begin = clock();
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        for (size_t j = 0; j < sizeof fills / sizeof fills[0]; j++) {
            strcpy(target, prefixes[i]);
            size_t at = strlen(target);
            for (size_t done = 0; done < MEBIBYTE; done += strlen(fills[j]))
                at += strlen(strcpy(target + at, fills[j]));
            assert_problem(request(http, "GET", target), 400, "bytes long; none of the routes");
        }
    }
    assert_true(seconds_of(begin) < 10);
    free(target);
}

static void a_mebibyte_of_method_and_cookie(void **state) {
    (void)state;
    enum { MEBIBYTE = 1 << 20 };
    char *text = malloc(MEBIBYTE + 1);
    assert_non_null(text);
    memset(text, ';', MEBIBYTE);
    text[MEBIBYTE] = '\0';
    procinspect_http_request asked;
    procinspect_http_request_init(&asked, sizeof asked);
    asked.method = text;
    asked.cookie = text;
    asked.base_url = text;
    asked.path = "/api/processes";
    asked.path_length_bytes = strlen(asked.path);
    assert_problem(request_full(http, &asked), 405, "The method ;;;;");
    free(text);
}

static const procinspect_http_response *const untouched = NULL;

static void the_hosts_own_mistakes(void **state) {
    (void)state;
    const int32_t refused = PROCINSPECT_ERROR_INVALID_ARGUMENT;
    const procinspect_http_response *response = untouched;
    procinspect_error error;
    procinspect_http_request asked;
    procinspect_http_request_init(&asked, sizeof asked);
    asked.path = "/";
    assert_int_equal(procinspect_http_handle(http, &asked, &response, &error), refused);
    assert_non_null(strstr(error.message, "has no method"));
    asked.method = "GET";
    asked.path = NULL;
    assert_int_equal(procinspect_http_handle(http, &asked, &response, &error), refused);
    assert_non_null(strstr(error.message, "has no path"));
    asked.path = "/";
    assert_int_equal(procinspect_http_handle(NULL, &asked, &response, NULL), refused);
    assert_int_equal(procinspect_http_handle(http, NULL, &response, NULL), refused);
    assert_int_equal(procinspect_http_handle(http, &asked, NULL, NULL), refused);
    asked.reserved = 1;
    assert_int_equal(procinspect_http_handle(http, &asked, &response, NULL), refused);
    asked.struct_size = 8;
    assert_int_equal(procinspect_http_handle(http, &asked, &response, &error), refused);
    assert_non_null(strstr(error.message, "procinspect_http_request_init"));
    assert_null(response);

    procinspect_http *made = NULL;
    procinspect_http_options options;
    procinspect_http_options_init(&options, sizeof options);
    assert_int_equal(procinspect_http_new(NULL, &options, &made, NULL), refused);
    procinspect_context *context = NULL;
    assert_int_equal(procinspect_context_new(NULL, &context, NULL), 0);
    assert_int_equal(procinspect_http_new(context, &options, NULL, NULL), refused);
    options.main_site_pid = -1;
    assert_int_equal(procinspect_http_new(context, &options, &made, &error), refused);
    assert_non_null(strstr(error.message, "main_site_pid is -1"));
    options.main_site_pid = 0;
    options.zip_flags = PROCINSPECT_ZIP_FROM_TARGET | 0x80;
    assert_int_equal(procinspect_http_new(context, &options, &made, &error), refused);
    assert_non_null(strstr(error.message, "procinspect_http_new: zip_flags is 0x8"));
    options.zip_flags = 0;
    options.reserved = 1;
    assert_int_equal(procinspect_http_new(context, &options, &made, &error), refused);
    assert_non_null(strstr(error.message, "procinspect_http_new: the options' reserved must be 0"));
    assert_null(made);
    procinspect_context_free(context);
    procinspect_http_free(NULL);
}

static uint64_t random_state = 88172645463325252;

static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Routes' words and random bytes, strung together. */
static size_t random_target(char *bytes, size_t capacity) {
    static const char *const words[] = {
        "/",        "api",    "processes", "diagnostics", "4242",
        "0",        "-1",     "threads",   "modules",     "environments",
        "all",      "dump",   "profile",   "start",       "stop",
        "?",        "&",      "=",         "allUsers",    "true",
        "dumpType", "format", "redact",    "%2f",         "%00",
        "%",        "//"};
    static const char *const starts[] = {"", "/api/processes/", "/api/processes/4242/",
                                         "/api/processes/4242/dump?format=zip&"};
    size_t length = strlen(strcpy(bytes, starts[next_random() % 4]));
    for (uint64_t parts = next_random() % 12; parts > 0; parts--) {
        const char *word = words[next_random() % (sizeof words / sizeof words[0])];
        if (next_random() % 3 == 0)
            for (uint64_t count = next_random() % 8; count > 0 && length < capacity; count--)
                bytes[length++] = (char)next_random();
        else if (length + strlen(word) < capacity)
            length += strlen(memcpy(bytes + length, word, strlen(word) + 1));
    }
    return length;
}

static void twenty_thousand_random_requests_leave_nothing(void **state) {
    (void)state;
    static const char *const methods[] = {"GET", "HEAD", "POST", "DELETE",
                                          "PUT", "",     "get",  "\xff\n"};
    size_t descriptors = open_descriptor_count();
    uint32_t seen[600] = {0};
    for (int i = 0; i < 20000; i++) {
        char bytes[256];
        size_t length = random_target(bytes, sizeof bytes - 1);
        procinspect_http_request asked;
        procinspect_http_request_init(&asked, sizeof asked);
        asked.method = methods[next_random() % (sizeof methods / sizeof methods[0])];
        asked.path = bytes;
        const char *mark = memchr(bytes, '?', length);
        asked.path_length_bytes = mark != NULL ? (size_t)(mark - bytes) : length;
        asked.query = mark != NULL ? mark + 1 : NULL;
        asked.query_length_bytes = mark != NULL ? length - asked.path_length_bytes - 1 : 0;
        http_reply reply = request_full(http, &asked);
        assert_true(reply.status >= 200 && reply.status < 600 && reply.status != 500 &&
                    reply.status != 503);
        seen[reply.status]++;
        if (reply.body != NULL)
            json_decref(json_of(&reply));
        reply_free(&reply);
    }
    assert_true(seen[200] > 50 && seen[400] > 50 && seen[404] > 50 && seen[405] > 50 &&
                seen[501] > 50);
    assert_int_equal(open_descriptor_count(), descriptors);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids),
        cmocka_unit_test(thread_ids_and_bases),
        cmocka_unit_test(queries),
        cmocka_unit_test(filters),
        cmocka_unit_test(escapes_cut_short),
        cmocka_unit_test(a_mebibyte),
        cmocka_unit_test(a_mebibyte_of_method_and_cookie),
        cmocka_unit_test(the_hosts_own_mistakes),
        cmocka_unit_test(twenty_thousand_random_requests_leave_nothing),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
