/* SPDX-License-Identifier: MIT */
/* What the dump route refuses. */
#include "http/dump_child.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void types_are_checked(void **state) {
    (void)state;
    procinspect_http *http = make_permissive();
    assert_refused(http, dump_target("?dumpType=0x100002"), 501,
                   "cannot do: 0x100000 (FilterTriage). Ask");
    assert_refused(http, dump_target("?dumpType=0x23806"), 501,
                   "cannot do: 0x2000 (WithCodeSegs). Ask");
    assert_refused(http, dump_target("?dumpType=0x1ffffff"), 501,
                   "cannot do: 0x8 (FilterMemory), 0x10 ");
    assert_refused(http, dump_target("?dumpType=0x800000"), 501,
                   "0x1 (WithDataSegs), 0x2 (WithFullMemory), 0x4 (WithHandleData), "
                   "0x200 (WithPrivateReadWriteMemory), 0x800 (WithFullMemoryInfo), "
                   "0x1000 (WithThreadInfo), 0x20000 (IgnoreInaccessibleMemory).");
    assert_refused(http, dump_target("?format=core"), 501, "core");
    assert_refused(http, dump_target("?format=gzip"), 400, "raw, zip or core");
    assert_refused(http, dump_target("?dumpType=33554434"), 400, "0x2000000");
    assert_refused(http, dump_target("?dumpType=0xffffffff"), 400, "0xfe000000");
    assert_refused(http, dump_target("?dumpType=mini"), 400, "dumpType is 'mini'");
    assert_refused(http, dump_target("?dumpType=0&dumpType=0"), 400, "more than once");
    assert_refused(http, dump_target("?format=7z"), 400, "format is '7z'");
    assert_refused(http, dump_target("?dryRun=1"), 400, "dryRun is '1'");
    procinspect_http_free(http);
}

static void dumps_have_to_be_allowed(void **state) {
    (void)state;
    procinspect_http *http = make_handler(NULL, NULL);
    assert_refused(http, dump_target(""), 403, "PROCINSPECT_ALLOW_DUMP");
    assert_refused(http, dump_target("?dumpType=2"), 403, "PROCINSPECT_ALLOW_DUMP");
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
    assert_refused(http, dump_target(""), 403, "callback");
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

static void what_would_be_too_large_is_refused(void **state) {
    (void)state;
    assert_int_equal(wait_for_state("S"), 'S');
    procinspect_http *http = make_permissive();
    http_reply reply = request(http, "GET", dump_target(""));
    const uint64_t size = reply.body_length;
    reply_free(&reply);
    procinspect_http_free(http);
    assert_int_equal(wait_for_state("S"), 'S');
    /* 100: no dump is that small, whatever its stacks hold. The others are found by predicting what
     * the dump of an idle process then is, to some hundreds of bytes. */
    const uint64_t limits[] = {100, 1000, size - 2000};
    procinspect_context_options options = permissive_options();
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        char says[32];
        options.max_dump_bytes = limits[i];
        snprintf(says, sizeof says, "%llu", (unsigned long long)limits[i]);
        http = make_handler(&options, NULL);
        assert_refused(http, dump_target(""), 413, says);
        assert_int_equal(wait_for_state("S"), 'S');
        procinspect_http_free(http);
    }
    options.max_dump_bytes = size + 2000;
    http = make_handler(&options, NULL);
    static const char *const methods[] = {"HEAD", "GET"};
    for (size_t i = 0; i < 2; i++) {
        reply = request(http, methods[i], dump_target(""));
        assert_int_equal(reply.status, 200);
        reply_free(&reply);
    }
    procinspect_http_free(http);
}

static void a_traced_process_is_a_conflict(void **state) {
    (void)state;
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    int tracer = fork();
    assert_true(tracer >= 0);
    if (tracer == 0) {
        char answer = ptrace(PTRACE_SEIZE, dump_child, 0, 0) == 0 ? 'y' : 'n';
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
    assert_refused(http, dump_target(""), 409, says);
    end_child(tracer);
    http_reply reply = request(http, "GET", dump_target(""));
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    procinspect_http_free(http);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_checked),
        cmocka_unit_test(dumps_have_to_be_allowed),
        cmocka_unit_test(the_callback_can_refuse),
        cmocka_unit_test(a_process_of_another_user_is_refused),
        cmocka_unit_test(a_process_that_may_not_be_traced_is_refused),
        cmocka_unit_test(a_zombie_is_not_found),
        cmocka_unit_test(a_kernel_thread_has_nothing_to_dump),
        cmocka_unit_test(what_would_be_too_large_is_refused),
        cmocka_unit_test(a_traced_process_is_a_conflict),
    };
    return cmocka_run_group_tests(tests, make_dump_child, stop_dump_child);
}
