/* SPDX-License-Identifier: MIT */
/* DELETE of a tree with a member that SIGKILL doesn't end: 500 that lists it, with what became of
 * the others. */
#include "http/client.h"

#include <inttypes.h>
#include <stdio.h>

#include "kill/stuck_tree.h"

static procinspect_http *http;

static int make_all(void **state) {
    (void)state;
    procinspect_context_options options = permissive_options();
    options.allow |= PROCINSPECT_ALLOW_KILL;
    http = make_handler(&options, NULL);
    return 0;
}

static int free_all(void **state) {
    (void)state;
    procinspect_http_free(http);
    return 0;
}

static void check_text(json_t *problem, const stuck_tree *tree) {
    char first[128], line[128];
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    assert_non_null(detail);
    snprintf(first, sizeof first, "1 of the 3 processes in the tree of %d are alive:\n",
             (int)tree->root);
    snprintf(line, sizeof line, "\n%d (stuck): SIGKILL was sent", (int)tree->stuck);
    assert_int_equal(strncmp(detail, first, strlen(first)), 0);
    assert_non_null(strstr(detail, line));
    assert_null(strchr(strstr(detail, line) + 1, '\n'));
    assert_string_equal(json_string_value(json_object_get(problem, "Message")), detail);
    assert_string_equal(json_string_value(json_object_get(problem, "ExceptionMessage")), detail);
}

static void check_report(json_t *report, const stuck_tree *tree) {
    assert_int_equal(json_integer_value(json_object_get(report, "pid")), tree->root);
    assert_int_equal(json_integer_value(json_object_get(report, "ended_count")), 2);
    assert_int_equal(json_integer_value(json_object_get(report, "survived_count")), 1);
    json_t *items = json_object_get(report, "items"), *item;
    size_t place;
    assert_true(json_array_size(items) >= 3); /* others may be told of as escaped */
    json_array_foreach(items, place, item) {
        bool is_stuck = json_integer_value(json_object_get(item, "pid")) == tree->stuck;
        if (place < 3)
            assert_string_equal(json_string_value(json_object_get(item, "outcome")),
                                is_stuck ? "survived" : "ended");
    }
}

static void survivors_are_listed(void **state) {
    (void)state;
    stuck_tree tree;
    char target[64];
    if (!stuck_tree_start(&tree, "child"))
        skip();
    snprintf(target, sizeof target, "/api/processes/%d", (int)tree.root);
    http_reply reply = request(http, "DELETE", target);
    assert_int_equal(reply.status, 500);
    json_t *problem = json_of(&reply);
    assert_int_equal(json_object_size(problem), 7);
    assert_int_equal(json_integer_value(json_object_get(problem, "status")), 500);
    check_text(problem, &tree);
    check_report(json_object_get(problem, "report"), &tree);
    json_decref(problem);
    reply_free(&reply);
    assert_true(stuck_tree_let_go(&tree));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survivors_are_listed),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
