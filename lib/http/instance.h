/* SPDX-License-Identifier: MIT */
#ifndef PI_HTTP_INSTANCE_H
#define PI_HTTP_INSTANCE_H

#include <time.h>

#include "http/exchange.h"

/* Settles which instance this is, from http->options or the environment, and what file names call
 * it; the texts are made in the arena. Errors: INVALID_ARGUMENT, NO_MEMORY. */
int32_t pi_http_settle_instance(procinspect_http *http, pi_arena *arena, procinspect_error *error);

/* X-Instance-Id and, unless the client has it already, the affinity cookie; nothing where there are
 * no instances. */
int32_t pi_http_add_instance_headers(pi_http_exchange *exchange, procinspect_error *error);

/* "NAME-INSTANCE-MM-dd-HH-mm-ss.EXTENSION", UTC; of the process's name (nullable) only letters,
 * digits, '-', '_' and '.' stay. */
enum { PI_HTTP_FILE_NAME_CAPACITY = 128 };
void pi_http_dump_file_name(const procinspect_http *http, const char *process_name, time_t now,
                            const char *extension, char file_name[PI_HTTP_FILE_NAME_CAPACITY]);

#endif
