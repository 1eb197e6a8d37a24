/* SPDX-License-Identifier: MIT */
#ifndef PI_HTTP_ROUTES_H
#define PI_HTTP_ROUTES_H

#include "http/exchange.h"

/* The methods of a path, as Allow lists them: "GET, HEAD, DELETE". */
enum { PI_HTTP_ALLOW_CAPACITY = 64 };

typedef enum pi_http_match {
    PI_HTTP_MATCHED,
    PI_HTTP_NO_PATH,
    PI_HTTP_NO_METHOD /* the path is there; `allow` says with which methods */
} pi_http_match;

/* Finds the handler of a parsed request; fills captures and *prefix with the collection's path
 * under the alias that was used. */
pi_http_match pi_http_find_route(pi_http_exchange *exchange, pi_http_handler *handler,
                                 const char **prefix, char allow[PI_HTTP_ALLOW_CAPACITY]);

#endif
