/* SPDX-License-Identifier: MIT */
#include "http/errors.h"

#include <inttypes.h>

#include "base/error.h"
#include "http/response.h"

/* How long a dump keeps its place: seconds that a client should wait before it tries again. */
static const char retry_after_seconds[] = "5";

uint32_t pi_http_status_of(int32_t code) {
    switch (code) {
    case PROCINSPECT_OK:
        return 200;
    case PROCINSPECT_ERROR_INVALID_ARGUMENT:
        return 400;
    case PROCINSPECT_ERROR_POLICY:
    case PROCINSPECT_ERROR_PERMISSION:
        return 403;
    case PROCINSPECT_ERROR_NOT_FOUND:
    case PROCINSPECT_ERROR_GONE:
        return 404;
    case PROCINSPECT_ERROR_REPLACED:
    case PROCINSPECT_ERROR_TRACED:
        return 409;
    case PROCINSPECT_ERROR_TOO_LARGE:
        return 413;
    case PROCINSPECT_ERROR_BUSY:
        return 429;
    case PROCINSPECT_ERROR_UNSUPPORTED:
        return 501;
    case PROCINSPECT_ERROR_NO_MEMORY:
    case PROCINSPECT_ERROR_NO_RESOURCES:
    case PROCINSPECT_ERROR_TIMED_OUT: /* a target that couldn't be stopped in time: try again */
    case PROCINSPECT_ERROR_CANCELLED: /* its client has gone, nobody reads it */
        return 503;
    default:
        return 500;
    }
}

int32_t pi_http_error_not_running(int32_t pid, procinspect_error *error) {
    return pi_error_set(error, PROCINSPECT_ERROR_NOT_FOUND, 0,
                        "Process with an Id of %" PRId32 " is not running.", pid);
}

int32_t pi_http_answer_problem(pi_http_exchange *exchange, uint32_t status, const char *detail,
                               procinspect_error *error) {
    pi_http_response_clear(exchange->response);
    procinspect_json_options options = pi_http_json_options(exchange, 0);
    const procinspect_json *json;
    int32_t code = procinspect_json_problem(status, detail, &options, &json, error);
    if (code != PROCINSPECT_OK)
        return code;
    return pi_http_response_set_json(exchange->response, status, "application/problem+json", json,
                                     error);
}

int32_t pi_http_answer_failure(pi_http_exchange *exchange, const procinspect_error *failure,
                               procinspect_error *error) {
    procinspect_error shown = *failure;
    if (failure->code == PROCINSPECT_ERROR_GONE && exchange->pid != 0)
        pi_http_error_not_running(exchange->pid, &shown);
    uint32_t status = pi_http_status_of(shown.code);
    int32_t code = pi_http_answer_problem(exchange, status, shown.message, error);
    if (code == PROCINSPECT_OK && status == 429)
        code = pi_http_response_add_header(exchange->response, "Retry-After", retry_after_seconds,
                                           error);
    return code;
}
