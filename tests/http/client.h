/* SPDX-License-Identifier: MIT */
#ifndef TESTS_HTTP_CLIENT_H
#define TESTS_HTTP_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <procinspect.h>

/* Includes come as cmocka wants them: this header first. */

/* A handler over a context of these; every option may be NULL. Free with procinspect_http_free. */
procinspect_http *make_handler(const procinspect_context_options *context_options,
                               const procinspect_http_options *http_options);

/* Allows everything, on every user's processes. */
procinspect_context_options permissive_options(void);

/* What came back, read to its end. */
typedef struct http_reply {
    const procinspect_http_response *response;
    uint32_t status;
    char *body; /* NUL-terminated; NULL where none is sent */
    size_t body_length;
} http_reply;

/* The target is "PATH" or "PATH?QUERY". */
http_reply request(const procinspect_http *http, const char *method, const char *target);
http_reply request_full(const procinspect_http *http, const procinspect_http_request *request);
void reply_free(http_reply *reply);

/* The value of a header, NULL where there is none; fails where there are two. */
const char *header_of(const http_reply *reply, const char *name);

/* The body as JSON, to be freed with json_decref; checks Content-Type and length. */
json_t *json_of(const http_reply *reply);

/* GET answers 200 with this JSON. */
json_t *get_json(const procinspect_http *http, const char *target);

/* The answer is a problem of this status in contract form, whose text has `says` in it; frees the
 * reply. */
void assert_problem(http_reply reply, uint32_t status, const char *says);

/* A child that sleeps, already, until it is ended. */
int start_child(void);
void end_child(int pid);

size_t open_descriptor_count(void);

#endif
