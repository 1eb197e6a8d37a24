/* SPDX-License-Identifier: MIT */
#ifndef PI_HTTP_RESPONSE_H
#define PI_HTTP_RESPONSE_H

#include <procinspect/kill.h>

#include "http/exchange.h"

enum { PI_HTTP_HEADERS = 8 };

/* The root of an arena that holds its headers' texts. */
typedef struct pi_http_response {
    procinspect_http_response public;
    pi_arena *arena;
    const procinspect_http_header *pointers[PI_HTTP_HEADERS];
    procinspect_http_header headers[PI_HTTP_HEADERS];
    /* The host's own process, which is ended with all that it started when the response is freed;
     * NULL: nothing is. */
    procinspect_process *process_to_end;
    procinspect_kill_options kill_options;
} pi_http_response;

/* NULL when out of memory. Freed with procinspect_http_response_free. */
pi_http_response *pi_http_response_new(void);

/* Back to an empty one, for a problem in place of what was begun. */
void pi_http_response_clear(pi_http_response *response);

/* The value is copied; control characters in it become '_'. */
int32_t pi_http_response_add_header(pi_http_response *response, const char *name, const char *value,
                                    procinspect_error *error);

/* This status with this text, which is consumed, as the body. */
int32_t pi_http_response_set_json(pi_http_response *response, uint32_t status,
                                  const char *content_type, const procinspect_json *json,
                                  procinspect_error *error);

/* 200 with what one of the procinspect_json_ calls made: `code` is what it returned. Consumes json.
 */
int32_t pi_http_answer_json(pi_http_exchange *exchange, int32_t code, const procinspect_json *json,
                            procinspect_error *error);

/* Options for the JSON of this request. */
procinspect_json_options pi_http_json_options(const pi_http_exchange *exchange, uint32_t flags);

#endif
