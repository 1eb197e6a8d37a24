/* SPDX-License-Identifier: MIT */
#include "http/exchange.h"
#include "http/response.h"
#include "http/target.h"
#include "http/values.h"

int32_t pi_http_list_processes(pi_http_exchange *exchange, procinspect_error *error) {
    bool all_users;
    int32_t code = pi_http_query_boolean(exchange, "allUsers", &all_users, error);
    if (code != PROCINSPECT_OK)
        return code;

    procinspect_process_query query;
    procinspect_process_query_init(&query, sizeof query);
    query.flags = all_users ? PROCINSPECT_PROCESS_QUERY_ALL_USERS : 0;
    query.members = PROCINSPECT_PROCESS_NAME | PROCINSPECT_PROCESS_USER_NAME;
    const procinspect_process_list *list;
    code = procinspect_process_list_read(exchange->http->context, &query, &list, error);
    if (code != PROCINSPECT_OK)
        return code;

    procinspect_json_options options = pi_http_json_options(exchange, 0);
    const procinspect_json *json = NULL;
    code = procinspect_json_process_list(list, &options, &json, error);
    procinspect_process_list_free(list);
    return pi_http_answer_json(exchange, code, json, error);
}

int32_t pi_http_show_process(pi_http_exchange *exchange, procinspect_error *error) {
    bool redact;
    procinspect_process *process;
    int32_t code = pi_http_query_boolean(exchange, "redact", &redact, error);
    if (code == PROCINSPECT_OK)
        code = pi_http_open_process(exchange, &process, error);
    if (code != PROCINSPECT_OK)
        return code;

    const procinspect_process_info *info;
    code = procinspect_process_info_read(process, PROCINSPECT_PROCESS_EVERYTHING, &info, error);
    procinspect_process_free(process);
    if (code != PROCINSPECT_OK)
        return code;

    procinspect_json_options options =
        pi_http_json_options(exchange, redact ? PROCINSPECT_JSON_REDACT : 0);
    const procinspect_json *json = NULL;
    code = procinspect_json_process(info, &options, &json, error);
    procinspect_process_info_free(info);
    return pi_http_answer_json(exchange, code, json, error);
}
