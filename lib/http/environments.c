/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "http/exchange.h"
#include "http/response.h"
#include "http/target.h"
#include "http/values.h"

/* Looking for a filter in a name takes time by the product of both lengths, and the target chose
 * the name. */
enum { LONGEST_FILTER = 512 };

/* NULL for `all`. */
static int32_t parse_filter(pi_http_text text, const char **filter, procinspect_error *error) {
    if (text.length > LONGEST_FILTER)
        return pi_error_set(
            error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
            "The filter is %zu bytes long; write at most %d bytes of a name, or 'all'.",
            text.length, LONGEST_FILTER);
    if (text.length == 0 || memchr(text.bytes, '\0', text.length) != NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "The filter %s; write a part of a name, or 'all'.",
                            text.length == 0 ? "is empty" : "has a NUL in it, which no name has");
    *filter = pi_http_text_is(text, "all") ? NULL : text.bytes;
    return PROCINSPECT_OK;
}

/* What is GONE is told as not running. A zombie is still listed, and whoever asks for what it had
 * is told what it is: NOT_FOUND, which says so, or the code as it is. */
static int32_t explain_gone(const procinspect_process *process, int32_t code,
                            procinspect_error *error) {
    const procinspect_process_info *info;
    const uint64_t members = PROCINSPECT_PROCESS_STATE | PROCINSPECT_PROCESS_PARENT;
    if (code != PROCINSPECT_ERROR_GONE ||
        procinspect_process_info_read(process, members, &info, NULL) != PROCINSPECT_OK)
        return code;
    if ((info->known & members) == members && info->os_state == 'Z')
        code = pi_error_set(error, PROCINSPECT_ERROR_NOT_FOUND, 0,
                            "Process %" PRId32 " has ended and is a zombie: its environment is "
                            "gone. It stays listed until its parent, %" PRId32
                            ", waits for it; end the parent if it doesn't.",
                            info->pid, info->parent_pid);
    procinspect_process_info_free(info);
    return code;
}

static int32_t read_environment(pi_http_exchange *exchange, const char *filter, bool redact,
                                const procinspect_environment **environment,
                                procinspect_error *error) {
    procinspect_process *process;
    int32_t code = pi_http_open_process(exchange, &process, error);
    if (code != PROCINSPECT_OK)
        return code;
    procinspect_environment_query query;
    procinspect_environment_query_init(&query, sizeof query);
    query.flags = redact ? PROCINSPECT_ENVIRONMENT_QUERY_REDACT : 0;
    query.name_contains = filter;
    code = explain_gone(process, procinspect_environment_read(process, &query, environment, error),
                        error);
    procinspect_process_free(process);
    return code;
}

int32_t pi_http_show_environment(pi_http_exchange *exchange, procinspect_error *error) {
    const char *filter = NULL;
    bool redact;
    const procinspect_environment *environment;
    int32_t code = parse_filter(exchange->captures[1], &filter, error);
    if (code == PROCINSPECT_OK)
        code = pi_http_query_boolean(exchange, "redact", &redact, error);
    if (code == PROCINSPECT_OK)
        code = read_environment(exchange, filter, redact, &environment, error);
    if (code != PROCINSPECT_OK)
        return code;

    procinspect_json_options options =
        pi_http_json_options(exchange, redact ? PROCINSPECT_JSON_REDACT : 0);
    const procinspect_json *json = NULL;
    code = procinspect_json_environment(environment, &options, &json, error);
    procinspect_environment_free(environment);
    return pi_http_answer_json(exchange, code, json, error);
}
