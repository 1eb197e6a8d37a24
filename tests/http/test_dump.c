/* SPDX-License-Identifier: MIT */
/* What the dump route answers for a real child. */
#include "http/dump_child.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* "attachment; filename=NAME-abcdef-MM-dd-HH-mm-ss" and this extension */
static void assert_disposition(const char *value, const char *extension) {
    assert_non_null(value);
    assert_int_equal(strncmp(value, "attachment; filename=", 21), 0);
    const char *instance = strstr(value, "-abcdef-");
    assert_non_null(instance);
    unsigned month, day, hour, minute, second;
    int used = 0;
    assert_int_equal(sscanf(instance, "-abcdef-%2u-%2u-%2u-%2u-%2u%n", &month, &day, &hour, &minute,
                            &second, &used),
                     5);
    assert_string_equal(instance + used, extension);
    assert_true(month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour < 24 && minute < 60);
}

static void a_dump_is_a_minidump_of_its_length(void **state) {
    (void)state;
    procinspect_http *http = make_permissive();
    static const char *const queries[] = {"",
                                          "?dumpType=0",
                                          "?DUMPTYPE=0x0&FORMAT=RAW",
                                          "?dumpType=4",
                                          "?dumpType=2048",
                                          "?dumpType=0x1000",
                                          "?dumpType=0x20000",
                                          "?dumpType=137220",
                                          "?format=&dryRun=false&redact=False&other=x"};
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        http_reply reply = request(http, "GET", dump_target(queries[i]));
        if (reply.status != 200)
            fail_msg("%u %s", reply.status, reply.body);
        assert_string_equal(header_of(&reply, "Content-Type"), "application/octet-stream");
        assert_disposition(header_of(&reply, "Content-Disposition"), ".dmp");
        assert_string_equal(header_of(&reply, "X-Instance-Id"), "abcdefgh");
        assert_true(atol(header_of(&reply, "X-Procinspect-Pause-Us")) > 0);
        assert_true(reply.response->body_size_bytes > 4096);
        assert_int_equal(reply.response->body_size_bytes, reply.body_length);
        assert_memory_equal(reply.body, "MDMP\x93\xa7", 6);
        reply_free(&reply);
        assert_int_equal(wait_for_state("S"), 'S');
    }
    procinspect_http_free(http);
}

static void a_zip_has_no_length_before(void **state) {
    (void)state;
    procinspect_dump_stream_options options;
    procinspect_dump_stream_options_init(&options, sizeof options);
    options.format = PROCINSPECT_DUMP_FORMAT_ZIP;
    procinspect_http *http = make_permissive();
    if (procinspect_dump_stream_options_check(&options, NULL) != 0) {
        assert_refused(http, dump_target("?format=zip"), 501, "left out");
        procinspect_http_free(http);
        skip();
    }
    http_reply head = request(http, "HEAD", dump_target("?format=zip"));
    http_reply reply = request(http, "GET", dump_target("?dumpType=0&FORMAT=Zip"));
    const http_reply *const both[] = {&head, &reply};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(both[i]->status, 200);
        assert_int_equal(both[i]->response->body_size_bytes, -1);
        assert_string_equal(header_of(both[i], "Content-Type"), "application/zip");
        assert_disposition(header_of(both[i], "Content-Disposition"), ".zip");
    }
    assert_null(head.response->body);
    assert_null(header_of(&head, "X-Procinspect-Pause-Us"));
    assert_true(atol(header_of(&reply, "X-Procinspect-Pause-Us")) > 0);
    assert_memory_equal(reply.body, "PK\x03\x04", 4);
    assert_memory_equal(reply.body + 30, "minidump.dmp", 12);
    assert_memory_equal(reply.body + reply.body_length - 22, "PK\x05\x06", 4);
    reply_free(&head);
    reply_free(&reply);
    procinspect_http_free(http);
}

static void the_host_can_be_dumped_by_0(void **state) {
    (void)state;
    procinspect_http *http = make_permissive();
    http_reply reply = request(http, "GET", "/api/processes/0/dump");
    if (reply.status != 200)
        fail_msg("%u %s", reply.status, reply.body);
    assert_memory_equal(reply.body, "MDMP", 4);
    reply_free(&reply);
    procinspect_http_free(http);
}

/* How often the child's thread was given a processor, which a stop does once more. */
static unsigned long run_count(void) {
    char path[64], line[128];
    unsigned long count = 0;
    snprintf(path, sizeof path, "/proc/%d/status", dump_child);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        sscanf(line, "voluntary_ctxt_switches: %lu", &count);
    fclose(file);
    assert_true(count > 0);
    return count;
}

static void head_stops_nothing_and_names_no_length(void **state) {
    (void)state;
    procinspect_http *http = make_permissive();
    assert_int_equal(wait_for_state("S"), 'S');
    unsigned long before = run_count();
    http_reply reply = request(http, "HEAD", dump_target(""));
    assert_int_equal(run_count(), before);
    assert_int_equal(reply.status, 200);
    assert_null(reply.response->body);
    assert_int_equal(reply.response->body_size_bytes, -1);
    assert_disposition(header_of(&reply, "Content-Disposition"), ".dmp");
    assert_string_equal(header_of(&reply, "Content-Type"), "application/octet-stream");
    assert_null(header_of(&reply, "X-Procinspect-Pause-Us"));
    reply_free(&reply);
    reply = request(http, "GET", dump_target(""));
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    assert_int_equal(wait_for_state("S"), 'S');
    assert_true(run_count() > before);
    procinspect_http_free(http);
}

static void the_host_itself_can_be_asked_about(void **state) {
    (void)state;
    procinspect_http *http = make_permissive();
    http_reply reply = request(http, "HEAD", "/api/processes/0/dump");
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    procinspect_http_free(http);
}

/* A HEAD that takes a place would keep it, having nothing that is freed. */
static void head_takes_no_place(void **state) {
    (void)state;
    procinspect_context_options options = permissive_options();
    options.max_concurrent_dumps = 1;
    procinspect_http *http = make_handler(&options, NULL);
    http_reply head = request(http, "HEAD", dump_target(""));
    assert_int_equal(head.status, 200);
    http_reply held = request(http, "GET", dump_target(""));
    assert_int_equal(held.status, 200);
    reply_free(&held);
    reply_free(&head);
    procinspect_http_free(http);
}

static void a_response_keeps_its_place_until_it_is_freed(void **state) {
    (void)state;
    procinspect_context_options options = permissive_options();
    options.max_concurrent_dumps = 1;
    procinspect_http *http = make_handler(&options, NULL);
    http_reply first = request(http, "GET", dump_target(""));
    assert_int_equal(first.status, 200);
    http_reply second = request(http, "GET", dump_target(""));
    assert_non_null(header_of(&second, "Retry-After"));
    assert_problem(second, 429, "");
    assert_refused(http, dump_target(""), 429, "max_concurrent_dumps");
    reply_free(&first);
    http_reply third = request(http, "GET", dump_target(""));
    assert_int_equal(third.status, 200);
    procinspect_http_free(http); /* the response stands on its own */
    assert_memory_equal(third.body, "MDMP", 4);
    reply_free(&third);
}

static void a_requested_cancellation_ends_it(void **state) {
    (void)state;
    procinspect_http *http = make_permissive();
    procinspect_cancellation *cancellation = NULL;
    assert_int_equal(procinspect_cancellation_new(&cancellation, NULL), 0);
    procinspect_http_request asked;
    procinspect_http_request_init(&asked, sizeof asked);
    asked.method = "GET";
    asked.path = dump_target("");
    asked.path_length_bytes = strlen(asked.path);
    asked.cancellation = cancellation;

    const procinspect_http_response *response = NULL;
    assert_int_equal(procinspect_http_handle(http, &asked, &response, NULL), 0);
    assert_int_equal(response->status, 200);
    procinspect_cancellation_request(cancellation);
    char byte;
    size_t length;
    assert_int_equal(procinspect_stream_read(response->body, &byte, 1, &length, NULL),
                     PROCINSPECT_ERROR_CANCELLED);
    procinspect_http_response_free(response);

    assert_problem(request_full(http, &asked), 503, "");
    assert_int_equal(wait_for_state("S"), 'S');
    procinspect_cancellation_free(cancellation);
    procinspect_http_free(http);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dump_is_a_minidump_of_its_length),
        cmocka_unit_test(a_zip_has_no_length_before),
        cmocka_unit_test(the_host_can_be_dumped_by_0),
        cmocka_unit_test(head_stops_nothing_and_names_no_length),
        cmocka_unit_test(the_host_itself_can_be_asked_about),
        cmocka_unit_test(head_takes_no_place),
        cmocka_unit_test(a_response_keeps_its_place_until_it_is_freed),
        cmocka_unit_test(a_requested_cancellation_ends_it),
    };
    return cmocka_run_group_tests(tests, make_dump_child, stop_dump_child);
}
