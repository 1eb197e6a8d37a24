/* SPDX-License-Identifier: MIT */
#include "http/client.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

procinspect_context_options permissive_options(void) {
    procinspect_context_options options;
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_ENVIRONMENT | PROCINSPECT_ALLOW_DUMP;
    options.user_scope = PROCINSPECT_USER_SCOPE_ALL;
    return options;
}

procinspect_http *make_handler(const procinspect_context_options *context_options,
                               const procinspect_http_options *http_options) {
    procinspect_context *context = NULL;
    procinspect_http *http = NULL;
    procinspect_error error = {0};
    if (procinspect_context_new(context_options, &context, &error) != 0 ||
        procinspect_http_new(context, http_options, &http, &error) != 0)
        fail_msg("%s", error.message);
    procinspect_context_free(context); /* the handler keeps what it needs */
    return http;
}

static char *read_stream(procinspect_stream *stream, size_t *length) {
    size_t capacity = 1 << 16;
    char *bytes = malloc(capacity + 1);
    assert_non_null(bytes);
    *length = 0;
    for (;;) {
        size_t got = 0;
        procinspect_error error;
        if (procinspect_stream_read(stream, bytes + *length, capacity - *length, &got, &error) != 0)
            fail_msg("%s", error.message);
        if (got == 0)
            break;
        *length += got;
        if (*length == capacity) {
            capacity *= 2;
            bytes = realloc(bytes, capacity + 1);
            assert_non_null(bytes);
        }
    }
    bytes[*length] = '\0';
    return bytes;
}

static void check_headers(const procinspect_http_response *response) {
    for (size_t i = 0; i < response->header_count; i++) {
        const procinspect_http_header *header = response->headers[i];
        assert_true(header->name[0] != '\0');
        assert_string_not_equal(header->name, "Content-Length");
        for (const char *each = header->value; *each != '\0'; each++)
            assert_true((unsigned char)*each >= 0x20 && *each != 0x7f);
    }
}

http_reply request_full(const procinspect_http *http, const procinspect_http_request *request) {
    http_reply made = {0};
    procinspect_error error;
    if (procinspect_http_handle(http, request, &made.response, &error) != 0)
        fail_msg("%s", error.message);
    check_headers(made.response);
    made.status = made.response->status;
    if (made.response->body == NULL)
        return made;
    made.body = read_stream(made.response->body, &made.body_length);
    assert_true(made.response->body_size_bytes == -1 ||
                made.response->body_size_bytes == (int64_t)made.body_length);
    return made;
}

http_reply request(const procinspect_http *http, const char *method, const char *target) {
    procinspect_http_request request;
    procinspect_http_request_init(&request, sizeof request);
    request.method = method;
    request.path = target;
    request.path_length_bytes = strcspn(target, "?");
    if (target[request.path_length_bytes] == '?') {
        request.query = target + request.path_length_bytes + 1;
        request.query_length_bytes = strlen(request.query);
    }
    return request_full(http, &request);
}

void reply_free(http_reply *reply) {
    free(reply->body);
    procinspect_http_response_free(reply->response);
    *reply = (http_reply){0};
}

const char *header_of(const http_reply *reply, const char *name) {
    const char *value = NULL;
    for (size_t i = 0; i < reply->response->header_count; i++) {
        if (strcmp(reply->response->headers[i]->name, name) != 0)
            continue;
        if (value != NULL)
            fail_msg("%s is there twice", name);
        value = reply->response->headers[i]->value;
    }
    return value;
}

json_t *json_of(const http_reply *reply) {
    json_error_t error;
    json_t *root = json_loadb(reply->body, reply->body_length, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        fail_msg("%s in %s", error.text, reply->body);
    const char *type =
        reply->status == 200 ? "application/json; charset=utf-8" : "application/problem+json";
    assert_string_equal(header_of(reply, "Content-Type"), type);
    return root;
}

json_t *get_json(const procinspect_http *http, const char *target) {
    http_reply reply = request(http, "GET", target);
    if (reply.status != 200)
        fail_msg("%s: %u %s", target, reply.status, reply.body);
    json_t *root = json_of(&reply);
    reply_free(&reply);
    return root;
}

void assert_problem(http_reply reply, uint32_t status, const char *says) {
    if (reply.status != status)
        fail_msg("status %u, not %u: %s", reply.status, status, reply.body);
    json_t *problem = json_of(&reply);
    assert_int_equal(json_object_size(problem), 6);
    assert_string_equal(json_string_value(json_object_get(problem, "type")), "about:blank");
    assert_int_equal(json_integer_value(json_object_get(problem, "status")), status);
    assert_true(json_string_length(json_object_get(problem, "title")) > 0);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    if (detail == NULL || strstr(detail, says) == NULL)
        fail_msg("'%s' isn't in: %s", says, detail);
    assert_string_equal(json_string_value(json_object_get(problem, "Message")), detail);
    assert_string_equal(json_string_value(json_object_get(problem, "ExceptionMessage")), detail);
    json_decref(problem);
    reply_free(&reply);
}

static bool is_asleep(int pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    const char *line = fgets(text, sizeof text, file);
    fclose(file);
    const char *name_end = line != NULL ? strrchr(line, ')') : NULL;
    return name_end != NULL && strncmp(name_end, ") S", 3) == 0;
}

int start_child(void) {
    int parent = getpid();
    int pid = fork();
    assert_true(pid >= 0);
    if (pid != 0) {
        for (int tries = 0; tries < 10000 && !is_asleep(pid); tries++)
            usleep(1000);
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* where Yama's ptrace_scope 1 asks for it */
    while (getppid() == parent)
        pause();
    _exit(0);
}

void end_child(int pid) {
    assert_true(pid > 0); /* else kill(2) takes it for a whole group, or for everybody */
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

size_t open_descriptor_count(void) {
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    size_t count = 0;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}
