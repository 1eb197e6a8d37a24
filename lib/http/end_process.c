/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/error.h"
#include "http/exchange.h"
#include "http/target.h"
#include "http/values.h"

int32_t pi_http_end_process(pi_http_exchange *exchange, procinspect_error *error) {
    uint32_t grace_seconds;
    procinspect_process *process;
    int32_t code = pi_http_query_number(exchange, "grace", &grace_seconds, error);
    if (code == PROCINSPECT_OK)
        code = pi_http_open_process(exchange, &process, error);
    if (code != PROCINSPECT_OK)
        return code;
    procinspect_process_free(process);
    return pi_error_set(
        error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
        "Ending a process is not supported yet: this version looks at processes and "
        "takes dumps of them. Process %" PRId32 " goes on running.",
        exchange->pid);
}

int32_t pi_http_profile(pi_http_exchange *exchange, procinspect_error *error) {
    int32_t id;
    int32_t code = pi_http_parse_process_id(exchange->captures[0], &id, error);
    if (code != PROCINSPECT_OK)
        return code;
    return pi_error_set(
        error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
        "There is no profiler in this library; use perf on the machine, or take dumps.");
}
