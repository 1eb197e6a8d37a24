/* SPDX-License-Identifier: MIT */
#ifndef PI_HTTP_VALUES_H
#define PI_HTTP_VALUES_H

#include "http/exchange.h"

/*
 * What clients write for numbers, ids and switches. A value that doesn't parse is INVALID_ARGUMENT,
 * with a message that quotes it and says what to write.
 */

enum { PI_HTTP_QUOTE_CAPACITY = 64 };

/* The beginning of a client's text for a message: valid UTF-8, without control characters. */
const char *pi_http_quote(char buffer[PI_HTTP_QUOTE_CAPACITY], pi_http_text text);

bool pi_http_text_is(pi_http_text text, const char *word); /* ignoring ASCII case */

/* The value of this query name; bytes is NULL where it isn't there. Given twice it is refused. */
int32_t pi_http_query_text(const pi_http_exchange *exchange, const char *name, pi_http_text *value,
                           procinspect_error *error);
/* "true" or "false"; false where it isn't there. */
int32_t pi_http_query_boolean(const pi_http_exchange *exchange, const char *name, bool *value,
                              procinspect_error *error);
/* A number in decimal or 0x hex, at most UINT32_MAX; 0 where it isn't there. */
int32_t pi_http_query_number(const pi_http_exchange *exchange, const char *name, uint32_t *value,
                             procinspect_error *error);

/* A process id, or 0 or -1. */
int32_t pi_http_parse_process_id(pi_http_text text, int32_t *id, procinspect_error *error);
int32_t pi_http_parse_thread_id(pi_http_text text, int32_t *id, procinspect_error *error);
/* Hex of either case, with 0x or without. */
int32_t pi_http_parse_base_address(pi_http_text text, uint64_t *base, procinspect_error *error);

#endif
