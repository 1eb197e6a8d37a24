/* SPDX-License-Identifier: MIT */
#ifndef PI_HTTP_TARGET_H
#define PI_HTTP_TARGET_H

#include "http/exchange.h"

/* Opens the process that the path names, and keeps its pid in the exchange. Errors become what the
 * client is told: INVALID_ARGUMENT, NOT_FOUND, POLICY … */
int32_t pi_http_open_process(pi_http_exchange *exchange, procinspect_process **process,
                             procinspect_error *error);

#endif
