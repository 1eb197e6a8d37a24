/* SPDX-License-Identifier: MIT */
#include "http/dump_child.h"

#include <stdio.h>
#include <time.h>

int dump_child;

const char *dump_target(const char *query) {
    static char path[128];
    snprintf(path, sizeof path, "/api/processes/%d/dump%s", dump_child, query);
    return path;
}

int make_dump_child(void **state) {
    (void)state;
    dump_child = start_child();
    return 0;
}

int stop_dump_child(void **state) {
    (void)state;
    end_child(dump_child);
    return 0;
}

procinspect_http *make_permissive(void) {
    procinspect_context_options options = permissive_options();
    procinspect_http_options http_options;
    procinspect_http_options_init(&http_options, sizeof http_options);
    http_options.instance_id = "abcdefgh";
    return make_handler(&options, &http_options);
}

void assert_refused(const procinspect_http *http, const char *path, uint32_t status,
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

char wait_for_state(const char *letters) {
    for (int tries = 0; tries < 500; tries++) {
        char path[64], text[256] = "";
        snprintf(path, sizeof path, "/proc/%d/stat", dump_child);
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
