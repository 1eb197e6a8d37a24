/* SPDX-License-Identifier: MIT */
#ifndef PI_HTTP_REQUEST_H
#define PI_HTTP_REQUEST_H

#include "http/exchange.h"

/*
 * Splits path and query of exchange->request and decodes them. Errors: INVALID_ARGUMENT (longer
 * than PI_HTTP_LONGEST_TARGET, a percent-encoding that is none or cut short), NO_MEMORY.
 */
enum { PI_HTTP_LONGEST_TARGET = 8192 };
int32_t pi_http_parse_target(pi_http_exchange *exchange, procinspect_error *error);

#endif
