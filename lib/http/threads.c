/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/error.h"
#include "http/exchange.h"
#include "http/response.h"
#include "http/target.h"
#include "http/values.h"

int32_t pi_http_list_threads(pi_http_exchange *exchange, procinspect_error *error) {
    procinspect_process *process;
    int32_t code = pi_http_open_process(exchange, &process, error);
    if (code != PROCINSPECT_OK)
        return code;
    procinspect_thread_query query;
    procinspect_thread_query_init(&query, sizeof query);
    query.members = PROCINSPECT_THREAD_STATE;
    const procinspect_thread_list *list;
    code = procinspect_thread_list_read(process, &query, &list, error);
    procinspect_process_free(process);
    if (code != PROCINSPECT_OK)
        return code;

    procinspect_json_options options = pi_http_json_options(exchange, 0);
    const procinspect_json *json = NULL;
    code = procinspect_json_thread_list(list, &options, &json, error);
    procinspect_thread_list_free(list);
    return pi_http_answer_json(exchange, code, json, error);
}

/* A list of this one thread, or NOT_FOUND; the query's tid 0 would mean all. */
static int32_t read_thread(const pi_http_exchange *exchange, const procinspect_process *process,
                           int32_t tid, const procinspect_thread_list **list,
                           procinspect_error *error) {
    procinspect_thread_query query;
    procinspect_thread_query_init(&query, sizeof query);
    query.tid = tid;
    query.members = PROCINSPECT_THREAD_EVERYTHING;
    int32_t code = tid == 0 ? PROCINSPECT_ERROR_NOT_FOUND
                            : procinspect_thread_list_read(process, &query, list, error);
    if (code == PROCINSPECT_ERROR_NOT_FOUND)
        return pi_error_set(error, code, 0,
                            "Process %" PRId32 " has no thread with an Id of %" PRId32
                            "; …/%" PRId32 "/threads lists those it has.",
                            exchange->pid, tid, exchange->pid);
    return code;
}

int32_t pi_http_show_thread(pi_http_exchange *exchange, procinspect_error *error) {
    int32_t tid;
    procinspect_process *process;
    int32_t code = pi_http_parse_thread_id(exchange->captures[1], &tid, error);
    if (code == PROCINSPECT_OK)
        code = pi_http_open_process(exchange, &process, error);
    if (code != PROCINSPECT_OK)
        return code;
    const procinspect_thread_list *list;
    code = read_thread(exchange, process, tid, &list, error);
    procinspect_process_free(process);
    if (code != PROCINSPECT_OK)
        return code;

    procinspect_json_options options = pi_http_json_options(exchange, 0);
    const procinspect_json *json = NULL;
    code = procinspect_json_thread(list->items[0], &options, &json, error);
    procinspect_thread_list_free(list);
    return pi_http_answer_json(exchange, code, json, error);
}
