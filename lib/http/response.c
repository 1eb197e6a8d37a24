/* SPDX-License-Identifier: MIT */
#include "http/response.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

enum { RESPONSE_ARENA_LIMIT = 64 * 1024 };

pi_http_response *pi_http_response_new(void) {
    pi_arena *arena = pi_arena_new(sizeof(pi_http_response), RESPONSE_ARENA_LIMIT);
    if (arena == NULL)
        return NULL;
    pi_http_response *response = pi_arena_root(arena);
    response->arena = arena;
    response->public.headers = response->pointers;
    return response;
}

void pi_http_response_clear(pi_http_response *response) {
    procinspect_stream_free(response->public.body);
    procinspect_process_free(response->process_to_end);
    response->process_to_end = NULL;
    response->public = (procinspect_http_response){.headers = response->pointers};
}

/* Where this comes back the host couldn't be ended, and there is nobody left to tell. */
static void end_host(const pi_http_response *response) {
    const procinspect_kill_report *report = NULL;
    if (response->process_to_end == NULL)
        return;
    procinspect_kill_tree(response->process_to_end, &response->kill_options, &report, NULL);
    procinspect_kill_report_free(report);
    procinspect_process_free(response->process_to_end);
}

void procinspect_http_response_free(const procinspect_http_response *response) {
    if (response == NULL)
        return;
    procinspect_stream_free(response->body);
    end_host((const pi_http_response *)(const void *)response);
    pi_arena_free_root(response);
}

int32_t pi_http_response_add_header(pi_http_response *response, const char *name, const char *value,
                                    procinspect_error *error) {
    size_t index = response->public.header_count;
    assert(index < PI_HTTP_HEADERS);
    char *copy = pi_arena_copy(response->arena, value, strlen(value));
    if (copy == NULL)
        return pi_error_no_memory(error);
    for (char *each = copy; *each != '\0'; each++)
        if ((unsigned char)*each < 0x20 || *each == 0x7f)
            *each = '_';
    response->headers[index] = (procinspect_http_header){name, copy};
    response->pointers[index] = &response->headers[index];
    response->public.header_count++;
    return PROCINSPECT_OK;
}

int32_t pi_http_response_set_json(pi_http_response *response, uint32_t status,
                                  const char *content_type, const procinspect_json *json,
                                  procinspect_error *error) {
    int32_t code = pi_http_response_add_header(response, "Content-Type", content_type, error);
    if (code == PROCINSPECT_OK)
        code = procinspect_stream_open_bytes(json->text, json->length_bytes, &response->public.body,
                                             error);
    if (code == PROCINSPECT_OK) {
        response->public.status = status;
        response->public.body_size_bytes = (int64_t)json->length_bytes;
    }
    procinspect_json_free(json);
    return code;
}

int32_t pi_http_answer_json(pi_http_exchange *exchange, int32_t code, const procinspect_json *json,
                            procinspect_error *error) {
    if (code != PROCINSPECT_OK)
        return code;
    return pi_http_response_set_json(exchange->response, 200, "application/json; charset=utf-8",
                                     json, error);
}

procinspect_json_options pi_http_json_options(const pi_http_exchange *exchange, uint32_t flags) {
    procinspect_json_options options;
    procinspect_json_options_init(&options, sizeof options);
    options.flags = flags;
    options.collection_url = exchange->collection_url;
    options.machine_name = exchange->http->options.machine_name;
    return options;
}
