/* SPDX-License-Identifier: MIT */
#ifndef PI_HTTP_EXCHANGE_H
#define PI_HTTP_EXCHANGE_H

#include <stdbool.h>

#include <procinspect/http.h>
#include <procinspect/json.h>

#include "base/arena.h"

/* What procinspect_http_new made of its options; immutable. The root of an arena that holds its
 * texts. */
struct procinspect_http {
    procinspect_context *context; /* our reference */
    procinspect_http_options options;
    const char *instance_id;     /* NULL: the site has no instances */
    const char *instance_prefix; /* INSTANCE in file names */
};

/* Bytes with a NUL behind them; they may hold others. */
typedef struct pi_http_text {
    const char *bytes;
    size_t length;
} pi_http_text;

typedef struct pi_http_parameter {
    pi_http_text name;
    pi_http_text value;
} pi_http_parameter;

enum { PI_HTTP_SEGMENTS = 6, PI_HTTP_CAPTURES = 2 };

/* A request on its way to its response. Everything here lives in the arena, which is freed when the
 * response is made. */
typedef struct pi_http_exchange {
    const procinspect_http *http;
    procinspect_http_request request;
    pi_arena *arena;
    bool is_head; /* answered as GET, without a body */

    /* The path's segments, decoded: the first ones, and how many there are. */
    pi_http_text segments[PI_HTTP_SEGMENTS];
    size_t segment_count;
    /* The query, decoded, in the order it came in. */
    pi_http_parameter *parameters;
    size_t parameter_count;

    /* What the route found: {id} and what stands for {tid}, {base}, {filter}; and the URL of the
     * collection, under the alias that was used. */
    pi_http_text captures[PI_HTTP_CAPTURES];
    const char *collection_url;

    int32_t pid; /* the process it is about, for texts; 0 before it is known */
    struct pi_http_response *response;
} pi_http_exchange;

/* Answers a matched request: fills exchange->response and returns 0, or fails with an error that
 * becomes a problem of the status that belongs to its code (errors.c). */
typedef int32_t (*pi_http_handler)(pi_http_exchange *exchange, procinspect_error *error);

int32_t pi_http_list_processes(pi_http_exchange *exchange, procinspect_error *error);
int32_t pi_http_show_process(pi_http_exchange *exchange, procinspect_error *error);
int32_t pi_http_list_threads(pi_http_exchange *exchange, procinspect_error *error);
int32_t pi_http_show_thread(pi_http_exchange *exchange, procinspect_error *error);
int32_t pi_http_list_modules(pi_http_exchange *exchange, procinspect_error *error);
int32_t pi_http_show_module(pi_http_exchange *exchange, procinspect_error *error);
int32_t pi_http_show_environment(pi_http_exchange *exchange, procinspect_error *error);
int32_t pi_http_send_dump(pi_http_exchange *exchange, procinspect_error *error);
int32_t pi_http_end_process(pi_http_exchange *exchange, procinspect_error *error);
int32_t pi_http_profile(pi_http_exchange *exchange, procinspect_error *error);

#endif
