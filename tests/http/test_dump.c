/* SPDX-License-Identifier: MIT */
/* The dump route on a real child. */
#include "http/client.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int child;
static char dump_target[128];

static const char *target(const char *query) {
    snprintf(dump_target, sizeof dump_target, "/api/processes/%d/dump%s", child, query);
    return dump_target;
}

static int make_child(void **state) {
    (void)state;
    child = start_child();
    return 0;
}

static int stop_child(void **state) {
    (void)state;
    end_child(child);
    return 0;
}

static procinspect_http *make_permissive(void) {
    procinspect_context_options options = permissive_options();
    procinspect_http_options http_options;
    procinspect_http_options_init(&http_options, sizeof http_options);
    http_options.instance_id = "abcdefgh";
    return make_handler(&options, &http_options);
}

/* The letter of the child's state in stat, once it has one of these. */
static char wait_for_state(const char *letters) {
    for (int tries = 0; tries < 500; tries++) {
        char path[64], text[256] = "";
        snprintf(path, sizeof path, "/proc/%d/stat", child);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        size_t length = fread(text, 1, sizeof text - 1, file);
        fclose(file);
        assert_true(length > 0);
        char letter = strrchr(text, ')')[2];
        if (strchr(letters, letter) != NULL)
            return letter;
        nanosleep(&(struct timespec){0, 10 * 1000 * 1000}, NULL);
    }
    return '-';
}

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
        http_reply reply = request(http, "GET", target(queries[i]));
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

/* GET is refused with this text, and HEAD with the same status. */
static void assert_refused(const procinspect_http *http, const char *path, uint32_t status,
                           const char *says) {
    http_reply head = request(http, "HEAD", path);
    if (head.status != status)
        fail_msg("HEAD %s: %u, not %u", path, head.status, status);
    assert_null(head.response->body);
    assert_string_equal(header_of(&head, "Content-Type"), "application/problem+json");
    assert_null(header_of(&head, "Content-Disposition"));
    reply_free(&head);
    assert_problem(request(http, "GET", path), status, says);
}

static void a_zip_has_no_length_before(void **state) {
    (void)state;
    procinspect_dump_stream_options options;
    procinspect_dump_stream_options_init(&options, sizeof options);
    options.format = PROCINSPECT_DUMP_FORMAT_ZIP;
    procinspect_http *http = make_permissive();
    if (procinspect_dump_stream_options_check(&options, NULL) != 0) {
        assert_refused(http, target("?format=zip"), 501, "left out");
        procinspect_http_free(http);
        skip();
    }
    http_reply head = request(http, "HEAD", target("?format=zip"));
    http_reply reply = request(http, "GET", target("?dumpType=0&FORMAT=Zip"));
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
    snprintf(path, sizeof path, "/proc/%d/status", child);
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
    http_reply reply = request(http, "HEAD", target(""));
    assert_int_equal(run_count(), before);
    assert_int_equal(reply.status, 200);
    assert_null(reply.response->body);
    assert_int_equal(reply.response->body_size_bytes, -1);
    assert_disposition(header_of(&reply, "Content-Disposition"), ".dmp");
    assert_string_equal(header_of(&reply, "Content-Type"), "application/octet-stream");
    assert_null(header_of(&reply, "X-Procinspect-Pause-Us"));
    reply_free(&reply);
    reply = request(http, "GET", target(""));
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
    http_reply held = request(http, "GET", target(""));
    assert_int_equal(held.status, 200);
    http_reply head = request(http, "HEAD", target(""));
    assert_int_equal(head.status, 200);
    reply_free(&held);
    reply_free(&head);
    procinspect_http_free(http);
}

static void types_are_checked(void **state) {
    (void)state;
    procinspect_http *http = make_permissive();
    assert_refused(http, target("?dumpType=0x100002"), 501,
                   "cannot do: 0x100000 (FilterTriage). Ask");
    assert_refused(http, target("?dumpType=0x23806"), 501, "cannot do: 0x2000 (WithCodeSegs). Ask");
    assert_refused(http, target("?dumpType=0x1ffffff"), 501,
                   "cannot do: 0x8 (FilterMemory), 0x10 ");
    assert_refused(http, target("?dumpType=0x800000"), 501,
                   "0x1 (WithDataSegs), 0x2 (WithFullMemory), 0x4 (WithHandleData), "
                   "0x200 (WithPrivateReadWriteMemory), 0x800 (WithFullMemoryInfo), "
                   "0x1000 (WithThreadInfo), 0x20000 (IgnoreInaccessibleMemory).");
    assert_refused(http, target("?format=core"), 501, "core");
    assert_refused(http, target("?format=gzip"), 400, "raw, zip or core");
    assert_refused(http, target("?dryRun=true"), 501, "dryRun");
    assert_refused(http, target("?redact=true"), 501, "redact");
    assert_refused(http, target("?dumpType=33554434"), 400, "0x2000000");
    assert_refused(http, target("?dumpType=0xffffffff"), 400, "0xfe000000");
    assert_refused(http, target("?dumpType=mini"), 400, "dumpType is 'mini'");
    assert_refused(http, target("?dumpType=0&dumpType=0"), 400, "more than once");
    assert_refused(http, target("?format=7z"), 400, "format is '7z'");
    assert_refused(http, target("?dryRun=1"), 400, "dryRun is '1'");
    procinspect_http_free(http);
}

static void dumps_have_to_be_allowed(void **state) {
    (void)state;
    procinspect_http *http = make_handler(NULL, NULL);
    assert_refused(http, target(""), 403, "PROCINSPECT_ALLOW_DUMP");
    assert_refused(http, target("?dumpType=2"), 403, "PROCINSPECT_ALLOW_DUMP");
    procinspect_http_free(http);
}

static int32_t refuse_dumps(void *user, const procinspect_access *access) {
    (void)user;
    return access->action == PROCINSPECT_ACTION_DUMP;
}

static void the_callback_can_refuse(void **state) {
    (void)state;
    procinspect_context_options options = permissive_options();
    options.authorize = refuse_dumps;
    procinspect_http *http = make_handler(&options, NULL);
    assert_refused(http, target(""), 403, "callback");
    procinspect_http_free(http);
}

static void a_context_that_redacts_takes_none(void **state) {
    (void)state;
    static const char *const names[] = {"*TOKEN"};
    procinspect_context_options options = permissive_options();
    options.redacted_names = names;
    options.redacted_name_count = 1;
    procinspect_http *http = make_handler(&options, NULL);
    assert_refused(http, target(""), 501, "redacted_names");
    procinspect_http_free(http);
}

static void a_process_of_another_user_is_refused(void **state) {
    (void)state;
    if (geteuid() == 0)
        skip(); /* root may trace it */
    procinspect_http *http = make_permissive();
    assert_refused(http, "/api/processes/1/dump", 403, "it belongs to user 0");
    procinspect_http_free(http);
}

static void a_process_that_may_not_be_traced_is_refused(void **state) {
    (void)state;
    if (geteuid() == 0)
        skip();
    int pipe_ends[2], hidden;
    assert_int_equal(pipe(pipe_ends), 0);
    hidden = fork();
    assert_true(hidden >= 0);
    if (hidden == 0) {
        prctl(PR_SET_DUMPABLE, 0);
        if (write(pipe_ends[1], "y", 1) == 1)
            pause();
        _exit(0);
    }
    char path[64], answer;
    assert_int_equal(read(pipe_ends[0], &answer, 1), 1);
    snprintf(path, sizeof path, "/api/processes/%d/dump", hidden);
    procinspect_http *http = make_permissive();
    assert_refused(http, path, 403, "not dumpable");
    procinspect_http_free(http);
    end_child(hidden);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void a_zombie_is_not_found(void **state) {
    (void)state;
    char path[64];
    siginfo_t end;
    int zombie = start_child();
    kill(zombie, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)zombie, &end, WEXITED | WNOWAIT), 0);
    snprintf(path, sizeof path, "/api/processes/%d/dump", zombie);
    procinspect_http *http = make_permissive();
    assert_refused(http, path, 404, "zombie");
    assert_int_equal(waitpid(zombie, NULL, 0), zombie);
    assert_refused(http, path, 404, "is not running");
    procinspect_http_free(http);
}

static void a_kernel_thread_has_nothing_to_dump(void **state) {
    (void)state;
    char name[32] = "";
    FILE *file = fopen("/proc/2/comm", "r"); /* a container has none */
    bool is_there =
        file != NULL && fgets(name, sizeof name, file) != NULL && strcmp(name, "kthreadd\n") == 0;
    if (file != NULL)
        fclose(file);
    if (!is_there)
        skip();
    procinspect_http *http = make_permissive();
    assert_refused(http, "/api/processes/2/dump", 501, "thread of the kernel");
    procinspect_http_free(http);
}

static void a_response_keeps_its_place_until_it_is_freed(void **state) {
    (void)state;
    procinspect_context_options options = permissive_options();
    options.max_concurrent_dumps = 1;
    procinspect_http *http = make_handler(&options, NULL);
    http_reply first = request(http, "GET", target(""));
    assert_int_equal(first.status, 200);
    http_reply second = request(http, "GET", target(""));
    assert_non_null(header_of(&second, "Retry-After"));
    assert_problem(second, 429, "");
    reply_free(&first);
    http_reply third = request(http, "GET", target(""));
    assert_int_equal(third.status, 200);
    procinspect_http_free(http); /* the response stands on its own */
    assert_memory_equal(third.body, "MDMP", 4);
    reply_free(&third);
}

static void what_would_be_too_large_is_refused(void **state) {
    (void)state;
    procinspect_context_options options = permissive_options();
    options.max_dump_bytes = 1000;
    procinspect_http *http = make_handler(&options, NULL);
    assert_problem(request(http, "GET", target("")), 413, "1000");
    procinspect_http_free(http);
    options.max_dump_bytes = 100; /* no dump is that small, whatever its stacks hold */
    http = make_handler(&options, NULL);
    assert_refused(http, target(""), 413, "100");
    assert_int_equal(wait_for_state("S"), 'S');
    procinspect_http_free(http);
}

static void a_requested_cancellation_ends_it(void **state) {
    (void)state;
    procinspect_http *http = make_permissive();
    procinspect_cancellation *cancellation = NULL;
    assert_int_equal(procinspect_cancellation_new(&cancellation, NULL), 0);
    procinspect_http_request asked;
    procinspect_http_request_init(&asked, sizeof asked);
    asked.method = "GET";
    asked.path = target("");
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

static void a_traced_process_is_a_conflict(void **state) {
    (void)state;
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    int tracer = fork();
    assert_true(tracer >= 0);
    if (tracer == 0) {
        char answer = ptrace(PTRACE_SEIZE, child, 0, 0) == 0 ? 'y' : 'n';
        if (write(pipe_ends[1], &answer, 1) == 1)
            pause();
        _exit(0);
    }
    char answer = 0;
    assert_int_equal(read(pipe_ends[0], &answer, 1), 1);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    if (answer != 'y') { /* Yama: a sibling may not trace */
        end_child(tracer);
        skip();
    }
    procinspect_http *http = make_permissive();
    char says[16];
    snprintf(says, sizeof says, "%d", tracer);
    assert_refused(http, target(""), 409, says);
    end_child(tracer);
    http_reply reply = request(http, "GET", target(""));
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
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
        cmocka_unit_test(types_are_checked),
        cmocka_unit_test(dumps_have_to_be_allowed),
        cmocka_unit_test(the_callback_can_refuse),
        cmocka_unit_test(a_context_that_redacts_takes_none),
        cmocka_unit_test(a_process_of_another_user_is_refused),
        cmocka_unit_test(a_process_that_may_not_be_traced_is_refused),
        cmocka_unit_test(a_zombie_is_not_found),
        cmocka_unit_test(a_kernel_thread_has_nothing_to_dump),
        cmocka_unit_test(a_response_keeps_its_place_until_it_is_freed),
        cmocka_unit_test(what_would_be_too_large_is_refused),
        cmocka_unit_test(a_requested_cancellation_ends_it),
        cmocka_unit_test(a_traced_process_is_a_conflict),
    };
    return cmocka_run_group_tests(tests, make_child, stop_child);
}
