/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <procinspect/kill.h>

#include "base/error.h"
#include "base/text.h"
#include "http/errors.h"
#include "http/exchange.h"
#include "http/response.h"
#include "http/target.h"
#include "http/values.h"

enum { LONGEST_GRACE_SECONDS = PROCINSPECT_KILL_LONGEST_MS / 1000, LONGEST_LIST = 16 * 1024 };

static int32_t parse_grace(pi_http_exchange *exchange, uint32_t *grace_ms,
                           procinspect_error *error) {
    pi_http_text text;
    uint64_t seconds = 0;
    int32_t code = pi_http_query_text(exchange, "grace", &text, error);
    if (code != PROCINSPECT_OK)
        return code;
    if (text.bytes != NULL && (!pi_parse_u64_whole(text.bytes, text.length, 10, &seconds) ||
                               seconds > LONGEST_GRACE_SECONDS)) {
        char quote[PI_HTTP_QUOTE_CAPACITY];
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "grace is '%s'; write whole seconds from 0 to %d.",
                            pi_http_quote(quote, text), (int)LONGEST_GRACE_SECONDS);
    }
    *grace_ms = (uint32_t)seconds * 1000;
    return PROCINSPECT_OK;
}

static bool is_alive(const procinspect_kill_item *item) {
    return item->outcome == PROCINSPECT_KILL_SURVIVED || item->outcome == PROCINSPECT_KILL_REFUSED;
}

/* One line for each, as far as they fit; all of them are in the problem's report. */
static int32_t answer_survivors(pi_http_exchange *exchange, const procinspect_kill_report *report,
                                procinspect_error *error) {
    char *list = pi_arena_alloc(exchange->arena, LONGEST_LIST);
    if (list == NULL)
        return pi_error_no_memory(error);
    size_t used =
        (size_t)snprintf(list, LONGEST_LIST,
                         "%" PRIu32 " of the %zu processes in the tree of %" PRId32 " are alive:",
                         report->survived_count + report->refused_count,
                         report->count - report->escaped_count, report->pid);
    for (size_t i = 0; i < report->count && used < LONGEST_LIST; i++) {
        const procinspect_kill_item *item = report->items[i];
        if (is_alive(item))
            used += (size_t)snprintf(list + used, LONGEST_LIST - used, "\n%" PRId32 " (%s): %s",
                                     item->pid, item->name, item->text);
    }
    list[pi_utf8_prefix(list, strlen(list))] = '\0';
    pi_http_response_clear(exchange->response);
    procinspect_json_options options = pi_http_json_options(exchange, 0);
    const procinspect_json *json;
    int32_t code = procinspect_json_kill_problem(500, list, report, &options, &json, error);
    if (code != PROCINSPECT_OK)
        return code;
    return pi_http_response_set_json(exchange->response, 500, "application/problem+json", json,
                                     error);
}

static int32_t end_now(pi_http_exchange *exchange, const procinspect_process *process,
                       procinspect_kill_options *options, procinspect_error *error) {
    const procinspect_kill_report *report;
    options->cancellation = exchange->request.cancellation;
    int32_t code = procinspect_kill_tree(process, options, &report, error);
    if (code != PROCINSPECT_OK)
        return code;
    if (report->survived_count + report->refused_count != 0)
        code = answer_survivors(exchange, report, error);
    else
        exchange->response->public.status = 204;
    procinspect_kill_report_free(report);
    return code;
}

/* The host can't answer once it has ended: what can be refused is refused now, and the rest is done
 * when the response is freed. */
static int32_t end_later(pi_http_exchange *exchange, procinspect_process *process,
                         procinspect_kill_options *options, procinspect_error *error) {
    const procinspect_kill_report *report;
    options->flags = PROCINSPECT_KILL_INCLUDE_HOST | PROCINSPECT_KILL_ONLY_CHECK;
    int32_t code = procinspect_kill_tree(process, options, &report, error);
    if (code != PROCINSPECT_OK)
        return code;
    procinspect_kill_report_free(report);
    options->flags = PROCINSPECT_KILL_INCLUDE_HOST;
    exchange->response->public.status = 204;
    exchange->response->kill_options = *options;
    exchange->response->process_to_end = process;
    return PROCINSPECT_OK;
}

int32_t pi_http_end_process(pi_http_exchange *exchange, procinspect_error *error) {
    int32_t id;
    procinspect_process *process;
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    int32_t code = pi_http_parse_process_id(exchange->captures[0], &id, error);
    if (code == PROCINSPECT_OK)
        code = parse_grace(exchange, &options.grace_ms, error);
    if (code == PROCINSPECT_OK)
        code = pi_http_open_process(exchange, &process, error);
    if (code != PROCINSPECT_OK)
        return code;
    if (id == 0)
        code = end_later(exchange, process, &options, error);
    else
        code = end_now(exchange, process, &options, error);
    if (exchange->response->process_to_end != process)
        procinspect_process_free(process);
    return code;
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
