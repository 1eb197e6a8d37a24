/* SPDX-License-Identifier: MIT */
#ifndef PI_HTTP_ERRORS_H
#define PI_HTTP_ERRORS_H

#include "http/exchange.h"

/* The status that belongs to a code of the library. */
uint32_t pi_http_status_of(int32_t code);

/* Makes the response a problem: with this status and text, or with those of a failure. Errors:
 * NO_MEMORY. */
int32_t pi_http_answer_problem(pi_http_exchange *exchange, uint32_t status, const char *detail,
                               procinspect_error *error);
int32_t pi_http_answer_failure(pi_http_exchange *exchange, const procinspect_error *failure,
                               procinspect_error *error);

/* NOT_FOUND with .NET's text, which Kudu's clients show. */
int32_t pi_http_error_not_running(int32_t pid, procinspect_error *error);

#endif
