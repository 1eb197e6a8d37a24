/* SPDX-License-Identifier: MIT */
/* The routes on this very program and on children of it. */
#include "http/client.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int child;

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
    return make_handler(&options, NULL);
}

static char target_text[128];

static const char *target(const char *below) {
    snprintf(target_text, sizeof target_text, "/api/processes/%d%s", child, below);
    return target_text;
}

static const char *text_of(json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

static bool lists(json_t *list, int pid) {
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item) {
        if (json_integer_value(json_object_get(item, "id")) == pid)
            return true;
    }
    return false;
}

static void the_list_has_the_child_and_its_parent(void **state) {
    (void)state;
    procinspect_http *http = make_permissive();
    json_t *list = get_json(http, "/api/processes");
    assert_true(lists(list, child));
    assert_true(lists(list, getpid()));
    json_t *all = get_json(http, "/api/processes?allUsers=True");
    struct stat first;
    assert_int_equal(stat("/proc/1", &first), 0);
    assert_int_equal(lists(list, 1), first.st_uid == geteuid());
    assert_true(lists(all, 1));
    assert_true(lists(all, child));
    json_decref(list);
    json_decref(all);
    procinspect_http_free(http);
}

static void all_users_need_a_scope_that_allows_them(void **state) {
    (void)state;
    procinspect_http *http = make_handler(NULL, NULL);
    json_t *list = get_json(http, "/api/processes?allusers=false");
    assert_true(lists(list, child));
    json_decref(list);
    assert_problem(request(http, "GET", "/api/processes?allUsers=true"), 403, "");
    procinspect_http_free(http);
}

static void a_child_and_its_parent_link_to_each_other(void **state) {
    (void)state;
    procinspect_http *http = make_permissive();
    char own[64], childs[64];
    snprintf(own, sizeof own, "/api/processes/%d", (int)getpid());
    strcpy(childs, target(""));
    json_t *object = get_json(http, childs);
    assert_string_equal(text_of(object, "href"), childs);
    assert_string_equal(text_of(object, "parent"), own);
    json_decref(object);

    object = get_json(http, "/api/processes/0");
    assert_string_equal(text_of(object, "href"), own);
    json_t *children = json_object_get(object, "children");
    assert_int_equal(json_array_size(children), 1);
    assert_string_equal(json_string_value(json_array_get(children, 0)), childs);
    json_decref(object);
    procinspect_http_free(http);
}

static void threads_and_modules_of_the_child(void **state) {
    (void)state;
    procinspect_http *http = make_permissive();
    json_t *list = get_json(http, target("/threads"));
    assert_int_equal(json_array_size(list), 1);
    json_t *thread = get_json(http, text_of(json_array_get(list, 0), "href"));
    assert_int_equal(json_integer_value(json_object_get(thread, "id")), child);
    assert_string_equal(text_of(thread, "state"), "Wait");
    json_decref(thread);
    json_decref(list);

    list = get_json(http, target("/modules"));
    assert_true(json_array_size(list) >= 3); /* the program, libc, the loader */
    bool has_libc = false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i);
        json_t *module = get_json(http, text_of(item, "href"));
        assert_string_equal(text_of(module, "base_address"), text_of(item, "base_address"));
        assert_string_equal(text_of(module, "file_name"), text_of(item, "file_name"));
        has_libc = has_libc || strcmp(text_of(item, "file_name"), "libc.so.6") == 0;
        json_decref(module);
    }
    assert_true(has_libc);
    char upper[160];
    int length = snprintf(upper, sizeof upper, "%s", target("/modules/0X"));
    for (const char *each = text_of(json_array_get(list, 0), "base_address"); *each; each++)
        upper[length++] = (char)(*each >= 'a' ? *each - 'a' + 'A' : *each);
    upper[length] = '\0';
    json_t *module = get_json(http, upper);
    assert_string_equal(text_of(module, "href"), text_of(json_array_get(list, 0), "href"));
    json_decref(module);
    json_decref(list);
    procinspect_http_free(http);
}

static void environments_have_to_be_allowed(void **state) {
    (void)state;
    procinspect_http *http = make_handler(NULL, NULL);
    assert_problem(request(http, "GET", target("/environments/all")), 403,
                   "PROCINSPECT_ALLOW_ENVIRONMENT");
    json_t *object = get_json(http, target(""));
    assert_int_equal(json_object_size(json_object_get(object, "environment_variables")), 0);
    const char *reason = text_of(json_object_get(object, "unavailable"), "environment_variables");
    assert_non_null(strstr(reason, "PROCINSPECT_ALLOW_ENVIRONMENT"));
    json_decref(object);
    procinspect_http_free(http);

    http = make_permissive();
    object = get_json(http, target("/environments/path"));
    assert_non_null(json_object_get(object, "PATH"));
    json_decref(object);
    procinspect_http_free(http);
}

static void names_that_the_host_redacts_stay_in_the_library(void **state) {
    (void)state;
    static const char *const names[] = {"pa*"};
    procinspect_context_options options = permissive_options();
    options.redacted_names = names;
    options.redacted_name_count = 1;
    procinspect_http *http = make_handler(&options, NULL);
    json_t *object = get_json(http, target("/environments/path"));
    assert_string_equal(text_of(object, "PATH"), "[redacted]");
    json_decref(object);
    procinspect_http_free(http);
}

static int32_t refuse_all(void *user, const procinspect_access *access) {
    (void)access;
    ++*(int *)user;
    return 1;
}

static void a_host_can_refuse(void **state) {
    (void)state;
    int asked = 0;
    procinspect_context_options options = permissive_options();
    options.authorize = refuse_all;
    options.authorize_user = &asked;
    procinspect_http *http = make_handler(&options, NULL);
    assert_problem(request(http, "GET", target("")), 403, "refuses");
    assert_problem(request(http, "GET", target("/dump?format=zip")), 403, "refuses");
    assert_problem(request(http, "DELETE", target("")), 403, "refuses");
    assert_int_equal(asked, 3);
    procinspect_http_free(http);
}

static void a_process_of_another_user_is_refused(void **state) {
    (void)state;
    if (getuid() != 0) {
        procinspect_http *http = make_handler(NULL, NULL);
        assert_problem(request(http, "GET", "/api/processes/1"), 403, "belongs to user 0");
        procinspect_http_free(http);
        return;
    }
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    int other = fork();
    assert_true(other >= 0);
    if (other == 0) {
        if (setuid(65534) == 0 && write(pipe_ends[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    char ready;
    assert_int_equal(read(pipe_ends[0], &ready, 1), 1);
    procinspect_http *http = make_handler(NULL, NULL);
    char path[64];
    snprintf(path, sizeof path, "/api/processes/%d", other);
    assert_problem(request(http, "GET", path), 403, "belongs to user 65534");
    procinspect_http_free(http);
    end_child(other);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void a_zombie_is_told_as_one_and_a_waited_for_child_is_gone(void **state) {
    (void)state;
    procinspect_http *http = make_permissive();
    int zombie = start_child();
    kill(zombie, SIGKILL);
    siginfo_t end;
    assert_int_equal(waitid(P_PID, (id_t)zombie, &end, WEXITED | WNOWAIT), 0);
    char path[64];
    snprintf(path, sizeof path, "/api/processes/%d", zombie);
    json_t *object = get_json(http, path);
    assert_int_equal(json_array_size(json_object_get(object, "modules")), 0);
    assert_int_equal(json_integer_value(json_object_get(object, "working_set")), -1);
    assert_string_equal(text_of(object, "file_name"), "N/A");
    json_decref(object);
    char environment[96], says[96];
    snprintf(environment, sizeof environment, "%s/environments/all", path);
    snprintf(says, sizeof says, "until its parent, %d, waits for it", (int)getpid());
    assert_problem(request(http, "GET", environment), 404, says);
    assert_int_equal(waitpid(zombie, NULL, 0), zombie);
    snprintf(says, sizeof says, "Process with an Id of %d is not running.", zombie);
    assert_problem(request(http, "GET", path), 404, says);
    assert_problem(request(http, "GET", environment), 404, says);
    procinspect_http_free(http);
}

/* Out of descriptors: 503, and as before once there are some again. */
static void without_descriptors_it_is_503(void **state) {
    (void)state;
    procinspect_http *http = make_permissive();
    int taken[65536];
    size_t count = 0;
    while (count < sizeof taken / sizeof taken[0] && (taken[count] = dup(0)) >= 0)
        count++;
    http_reply list = request(http, "GET", "/api/processes");
    http_reply object = request(http, "GET", target(""));
    http_reply dump = request(http, "GET", target("/dump"));
    for (size_t i = 0; i < count; i++)
        close(taken[i]);
    if (count == sizeof taken / sizeof taken[0]) {
        reply_free(&list);
        reply_free(&object);
        reply_free(&dump);
        procinspect_http_free(http);
        skip();
    }
    assert_problem(list, 503, "");
    assert_problem(object, 503, "");
    assert_problem(dump, 503, "");
    json_decref(get_json(http, "/api/processes"));
    procinspect_http_free(http);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_has_the_child_and_its_parent),
        cmocka_unit_test(all_users_need_a_scope_that_allows_them),
        cmocka_unit_test(a_child_and_its_parent_link_to_each_other),
        cmocka_unit_test(threads_and_modules_of_the_child),
        cmocka_unit_test(environments_have_to_be_allowed),
        cmocka_unit_test(names_that_the_host_redacts_stay_in_the_library),
        cmocka_unit_test(a_host_can_refuse),
        cmocka_unit_test(a_process_of_another_user_is_refused),
        cmocka_unit_test(a_zombie_is_told_as_one_and_a_waited_for_child_is_gone),
        cmocka_unit_test(without_descriptors_it_is_503),
    };
    return cmocka_run_group_tests(tests, make_child, stop_child);
}
