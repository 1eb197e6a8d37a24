/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "base/text.h"
#include "http/errors.h"
#include "http/exchange.h"
#include "http/instance.h"
#include "http/request.h"
#include "http/response.h"
#include "http/routes.h"
#include "http/values.h"

void procinspect_http_options_init(procinspect_http_options *options, size_t struct_size) {
    pi_options_init(options, struct_size);
}

void procinspect_http_request_init(procinspect_http_request *request, size_t struct_size) {
    pi_options_init(request, struct_size);
}

/* Copies the texts that the caller only lends; a default where there is none. */
static bool copy_texts(pi_arena *arena, procinspect_http_options *options) {
    const char *setting = options->main_site_setting;
    if (setting == NULL)
        setting = "main_site_pid";
    options->main_site_setting = pi_utf8_repair(arena, setting, strlen(setting));
    if (options->main_site_setting == NULL)
        return false;
    const char *machine_name = options->machine_name;
    if (machine_name == NULL)
        return true;
    options->machine_name = pi_arena_copy(arena, machine_name, strlen(machine_name));
    return options->machine_name != NULL;
}

static int32_t check_zip_flags(uint32_t flags, procinspect_error *error) {
    procinspect_dump_stream_options zip;
    procinspect_dump_stream_options_init(&zip, sizeof zip); /* raw: zips may have been left out */
    zip.flags = flags;
    if (procinspect_dump_stream_options_check(&zip, NULL) == PROCINSPECT_OK)
        return PROCINSPECT_OK;
    return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                        "procinspect_http_new: zip_flags is 0x%x, which has unknown bits; use "
                        "PROCINSPECT_ZIP_… flags.",
                        (unsigned)flags);
}

static int32_t fill(procinspect_http *http, pi_arena *arena,
                    const procinspect_http_options *options, procinspect_error *error) {
    int32_t code = pi_options_take(options, &http->options, sizeof http->options,
                                   PI_SIZE_THROUGH(procinspect_http_options, instance_id),
                                   "procinspect_http_options", error);
    if (code != PROCINSPECT_OK)
        return code;
    if (http->options.main_site_pid < 0)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_http_new: main_site_pid is %d; use a pid, or 0 for none.",
                            (int)http->options.main_site_pid);
    if (http->options.reserved != 0)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_http_new: the options' reserved must be 0; leave it as "
                            "_init does.");
    code = check_zip_flags(http->options.zip_flags, error);
    if (code == PROCINSPECT_OK)
        code = pi_http_settle_instance(http, arena, error);
    if (code != PROCINSPECT_OK)
        return code;
    return copy_texts(arena, &http->options) ? PROCINSPECT_OK : pi_error_no_memory(error);
}

int32_t procinspect_http_new(const procinspect_context *context,
                             const procinspect_http_options *options, procinspect_http **http,
                             procinspect_error *error) {
    if (context == NULL || http == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_http_new: %s is NULL.",
                            context == NULL ? "context" : "http");
    pi_arena *arena = pi_arena_new(sizeof(procinspect_http), SIZE_MAX);
    if (arena == NULL)
        return pi_error_no_memory(error);
    procinspect_http *made = pi_arena_root(arena);
    int32_t code = fill(made, arena, options, error);
    if (code != PROCINSPECT_OK) {
        pi_arena_free_root(made);
        return code;
    }
    made->context = procinspect_context_retain(context);
    *http = made;
    return PROCINSPECT_OK;
}

void procinspect_http_free(procinspect_http *http) {
    if (http == NULL)
        return;
    procinspect_context_free(http->context);
    pi_arena_free_root(http);
}

static int32_t answer_no_path(pi_http_exchange *exchange, procinspect_error *error) {
    char quote[PI_HTTP_QUOTE_CAPACITY];
    char detail[256];
    pi_http_text path = {exchange->request.path, exchange->request.path_length_bytes};
    snprintf(detail, sizeof detail,
             "There is nothing at '%s'; the processes are at /api/processes, what there is of one "
             "below /api/processes/ID.",
             pi_http_quote(quote, path));
    return pi_http_answer_problem(exchange, 404, detail, error);
}

static int32_t answer_no_method(pi_http_exchange *exchange, const char *allow,
                                procinspect_error *error) {
    char quote[PI_HTTP_QUOTE_CAPACITY];
    char detail[256];
    const char *method = exchange->request.method;
    pi_http_quote(quote, (pi_http_text){method, strlen(method)});
    snprintf(detail, sizeof detail, "The method %s is not for this path; use %s.", quote, allow);
    int32_t code = pi_http_answer_problem(exchange, 405, detail, error);
    if (code == PROCINSPECT_OK)
        code = pi_http_response_add_header(exchange->response, "Allow", allow, error);
    return code;
}

/* Under the alias that the client used, with the canonical spelling. */
static int32_t make_collection_url(pi_http_exchange *exchange, const char *prefix,
                                   procinspect_error *error) {
    const char *base_url = exchange->request.base_url != NULL ? exchange->request.base_url : "";
    size_t capacity = strlen(base_url) + strlen(prefix) + 1;
    char *url = pi_arena_alloc(exchange->arena, capacity);
    if (url == NULL)
        return pi_error_no_memory(error);
    snprintf(url, capacity, "%s%s", base_url, prefix);
    exchange->collection_url = url;
    return PROCINSPECT_OK;
}

/* Fails where no answer could be made; a refusal is an answer. */
static int32_t answer(pi_http_exchange *exchange, procinspect_error *error) {
    procinspect_error failure;
    if (pi_http_parse_target(exchange, &failure) != PROCINSPECT_OK)
        return pi_http_answer_failure(exchange, &failure, error);

    pi_http_handler handler;
    const char *prefix;
    char allow[PI_HTTP_ALLOW_CAPACITY];
    pi_http_match match = pi_http_find_route(exchange, &handler, &prefix, allow);
    if (match == PI_HTTP_NO_PATH)
        return answer_no_path(exchange, error);
    if (match == PI_HTTP_NO_METHOD)
        return answer_no_method(exchange, allow, error);

    int32_t code = make_collection_url(exchange, prefix, error);
    if (code == PROCINSPECT_OK && handler(exchange, &failure) != PROCINSPECT_OK)
        code = pi_http_answer_failure(exchange, &failure, error);
    return code;
}

static int32_t take_request(const procinspect_http *http, const procinspect_http_request *request,
                            const procinspect_http_response **response,
                            procinspect_http_request *taken, procinspect_error *error) {
    if (http == NULL || request == NULL || response == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_http_handle: %s is NULL.",
                            http == NULL      ? "http"
                            : request == NULL ? "request"
                                              : "response");
    int32_t code = pi_options_take(request, taken, sizeof *taken,
                                   PI_SIZE_THROUGH(procinspect_http_request, cancellation),
                                   "procinspect_http_request", error);
    if (code == PROCINSPECT_OK && taken->reserved != 0)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_http_handle: the request's reserved must be 0.");
    if (code == PROCINSPECT_OK && (taken->method == NULL || taken->path == NULL))
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "procinspect_http_handle: the request has no %s; set it.",
                            taken->method == NULL ? "method" : "path");
    return code;
}

int32_t procinspect_http_handle(const procinspect_http *http,
                                const procinspect_http_request *request,
                                const procinspect_http_response **response,
                                procinspect_error *error) {
    pi_http_exchange exchange = {.http = http};
    int32_t code = take_request(http, request, response, &exchange.request, error);
    if (code != PROCINSPECT_OK)
        return code;
    exchange.is_head = strcmp(exchange.request.method, "HEAD") == 0;
    exchange.arena = pi_arena_new(0, SIZE_MAX);
    exchange.response = pi_http_response_new();
    code = exchange.arena != NULL && exchange.response != NULL ? answer(&exchange, error)
                                                               : pi_error_no_memory(error);
    if (code == PROCINSPECT_OK)
        code = pi_http_add_instance_headers(&exchange, error);
    if (exchange.arena != NULL)
        pi_arena_free_root(pi_arena_root(exchange.arena));
    if (code != PROCINSPECT_OK) {
        if (exchange.response != NULL) {
            /* Before it is freed: the host was told of no response, so none may end it. */
            pi_http_response_clear(exchange.response);
            procinspect_http_response_free(&exchange.response->public);
        }
        return code;
    }
    if (exchange.is_head) {
        procinspect_stream_free(exchange.response->public.body);
        exchange.response->public.body = NULL;
    }
    *response = &exchange.response->public;
    return PROCINSPECT_OK;
}
