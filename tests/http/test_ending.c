/* SPDX-License-Identifier: MIT */
/* A process in the middle of its end, as /proc shows it while the kernel takes its memory apart: a
 * living state, no memory. It is told as ended, not as one without modules or environment. And one
 * in the middle of execve, whose memory has neither arguments nor environment yet. */
#include "http/client.h"

#include "http/proc_tree.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char *root;
static procinspect_http *http;

static void write_worker(const char *file, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/4242/%s", root, file);
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
}

/* flags: field 9; PF_EXITING is 4. memory: field 23. */
static void write_stat_of(char state, unsigned flags, int threads, unsigned memory) {
    char text[512];
    snprintf(text, sizeof text,
             "4242 (worker) %c 17 4242 4242 0 -1 %u 100 0 0 0 150 25 0 0 20 0 %d 0 1000 %u 0 "
             "18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
             state, flags, threads, memory);
    write_worker("stat", text);
    write_worker("task/4242/stat", text);
}

static void write_stat(char state, unsigned flags, int threads) {
    write_stat_of(state, flags, threads, 0);
}

static int make_all(void **state) {
    (void)state;
    root = make_proc_tree();
    procinspect_context_options options = permissive_options();
    options.proc_root = root;
    http = make_handler(&options, NULL);
    char path[256];
    snprintf(path, sizeof path, "%s/4242/exe", root);
    assert_int_equal(unlink(path), 0);
    write_worker("status", "Name:\tworker\nState:\tR (running)\nTgid:\t4242\nPid:\t4242\n");
    write_worker("environ", "");
    write_worker("maps", "");
    /* The thread that lives on where the main thread ends. */
    write_worker("task/4243/status",
                 "Name:\tworker\nState:\tR (running)\nTgid:\t4242\nPid:\t4243\n");
    write_worker("task/4243/environ", "");
    write_worker("task/4243/maps", "");
    return 0;
}

static int free_all(void **state) {
    (void)state;
    procinspect_http_free(http);
    remove_proc_tree(root);
    return 0;
}

static void a_process_that_is_ending_is_not_running(void **state) {
    (void)state;
    write_stat('R', 0x400004, 1);
    static const char *const targets[] = {"/api/processes/4242", "/api/processes/4242/modules",
                                          "/api/processes/4242/environments/all"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        assert_problem(request(http, "GET", targets[i]), 404,
                       "Process with an Id of 4242 is not running.");
}

/* A zombie stays to be looked at, and so does a process of which one thread ends. */
static void others_without_memory_are_still_told(void **state) {
    (void)state;
    static const struct {
        char state;
        unsigned flags;
        int threads;
    } others[] = {{'Z', 0x400004, 1}, {'S', 0x200000, 1}, {'S', 0x400000, 1}, {'S', 0x400004, 2}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        write_stat(others[i].state, others[i].flags, others[i].threads);
        json_t *modules = get_json(http, "/api/processes/4242/modules");
        assert_int_equal(json_array_size(modules), 0);
        json_decref(modules);
        static const char all[] = "/api/processes/4242/environments/all";
        if (others[i].state == 'Z') { /* it had one, and has forgotten it */
            assert_problem(request(http, "GET", all), 404,
                           "Process 4242 has ended and is a zombie: its environment is gone.");
        } else {
            json_t *environment = get_json(http, all);
            assert_int_equal(json_object_size(environment), 0);
            json_decref(environment);
        }
        json_decref(get_json(http, "/api/processes/4242"));
    }
}

static void a_process_in_execve_is_told_as_such(void **state) {
    (void)state;
    static const char *const members[] = {"command_line", "environment_variables", "is_webjob"};
    write_stat_of('R', 0x400000, 1, 8364032);
    write_worker("cmdline", "");
    json_t *process = get_json(http, "/api/processes/4242");
    json_t *unavailable = json_object_get(process, "unavailable");
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const char *reason = json_string_value(json_object_get(unavailable, members[i]));
        assert_non_null(reason);
        assert_non_null(strstr(reason, "execve"));
    }
    json_decref(process);
    assert_problem(request(http, "GET", "/api/processes/4242/environments/all"), 500, "execve");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_is_ending_is_not_running),
        cmocka_unit_test(others_without_memory_are_still_told),
        cmocka_unit_test(a_process_in_execve_is_told_as_such),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
