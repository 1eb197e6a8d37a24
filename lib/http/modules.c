/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/error.h"
#include "http/exchange.h"
#include "http/response.h"
#include "http/target.h"
#include "http/values.h"

int32_t pi_http_list_modules(pi_http_exchange *exchange, procinspect_error *error) {
    procinspect_process *process;
    int32_t code = pi_http_open_process(exchange, &process, error);
    if (code != PROCINSPECT_OK)
        return code;
    procinspect_module_query query;
    procinspect_module_query_init(&query, sizeof query);
    query.members = PROCINSPECT_MODULE_PATH | PROCINSPECT_MODULE_FILE_VERSION;
    const procinspect_module_list *list;
    code = procinspect_module_list_read(process, &query, &list, error);
    procinspect_process_free(process);
    if (code != PROCINSPECT_OK)
        return code;

    procinspect_json_options options = pi_http_json_options(exchange, 0);
    const procinspect_json *json = NULL;
    code = procinspect_json_module_list(list, &options, &json, error);
    procinspect_module_list_free(list);
    return pi_http_answer_json(exchange, code, json, error);
}

/* A list of this one module, or NOT_FOUND; the query's base 0 would mean all. */
static int32_t read_module(const pi_http_exchange *exchange, const procinspect_process *process,
                           uint64_t base, const procinspect_module_list **list,
                           procinspect_error *error) {
    procinspect_module_query query;
    procinspect_module_query_init(&query, sizeof query);
    query.base_address = base;
    query.members = PROCINSPECT_MODULE_EVERYTHING;
    int32_t code = base == 0 ? PROCINSPECT_ERROR_NOT_FOUND
                             : procinspect_module_list_read(process, &query, list, error);
    if (code == PROCINSPECT_ERROR_NOT_FOUND)
        return pi_error_set(error, code, 0,
                            "Process %" PRId32 " has no module at base address %" PRIx64
                            "; …/%" PRId32 "/modules lists those it has.",
                            exchange->pid, base, exchange->pid);
    return code;
}

int32_t pi_http_show_module(pi_http_exchange *exchange, procinspect_error *error) {
    uint64_t base;
    procinspect_process *process;
    int32_t code = pi_http_parse_base_address(exchange->captures[1], &base, error);
    if (code == PROCINSPECT_OK)
        code = pi_http_open_process(exchange, &process, error);
    if (code != PROCINSPECT_OK)
        return code;
    const procinspect_module_list *list;
    code = read_module(exchange, process, base, &list, error);
    procinspect_process_free(process);
    if (code != PROCINSPECT_OK)
        return code;

    procinspect_json_options options = pi_http_json_options(exchange, 0);
    const procinspect_json *json = NULL;
    code = procinspect_json_module(list->items[0], &options, &json, error);
    procinspect_module_list_free(list);
    return pi_http_answer_json(exchange, code, json, error);
}
