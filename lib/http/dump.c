/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "http/exchange.h"
#include "http/instance.h"
#include "http/response.h"
#include "http/target.h"
#include "http/values.h"

typedef struct dump_format {
    const char *name; /* in the query */
    uint32_t stream_format;
    const char *content_type; /* NULL: this version doesn't have it */
    const char *extension;
} dump_format;

static const dump_format dump_formats[] = {
    {"raw", PROCINSPECT_DUMP_FORMAT_RAW, "application/octet-stream", "dmp"},
    {"zip", PROCINSPECT_DUMP_FORMAT_ZIP, "application/zip", "zip"},
    {"core", 0, NULL, NULL},
};

typedef struct dump_request {
    uint32_t type;
    const dump_format *format;
    bool dry_run;
    bool redact;
} dump_request;

static int32_t parse_format(const pi_http_exchange *exchange, const dump_format **format,
                            procinspect_error *error) {
    pi_http_text text;
    int32_t code = pi_http_query_text(exchange, "format", &text, error);
    if (code != PROCINSPECT_OK)
        return code;
    *format = &dump_formats[0];
    if (text.length == 0)
        return PROCINSPECT_OK;
    for (size_t i = 0; i < sizeof dump_formats / sizeof dump_formats[0]; i++) {
        if (pi_http_text_is(text, dump_formats[i].name)) {
            *format = &dump_formats[i];
            return PROCINSPECT_OK;
        }
    }
    char quote[PI_HTTP_QUOTE_CAPACITY];
    return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                        "format is '%s'; write raw, zip or core.", pi_http_quote(quote, text));
}

static int32_t parse_dump_request(const pi_http_exchange *exchange, dump_request *request,
                                  procinspect_error *error) {
    int32_t code = pi_http_query_number(exchange, "dumpType", &request->type, error);
    if (code != PROCINSPECT_OK)
        return code;
    uint32_t unknown = request->type & ~PROCINSPECT_DUMP_TYPE_ALL;
    if (unknown != 0)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "dumpType has the bits 0x%" PRIx32
                            ", which MINIDUMP_TYPE doesn't have; leave them out.",
                            unknown);
    code = parse_format(exchange, &request->format, error);
    if (code == PROCINSPECT_OK)
        code = pi_http_query_boolean(exchange, "dryRun", &request->dry_run, error);
    if (code == PROCINSPECT_OK)
        code = pi_http_query_boolean(exchange, "redact", &request->redact, error);
    return code;
}

static void stream_options_init(procinspect_dump_stream_options *options,
                                const pi_http_exchange *exchange, const dump_request *request) {
    procinspect_dump_stream_options_init(options, sizeof *options);
    options->format = request->format->stream_format;
    options->flags = exchange->http->options.zip_flags;
    options->max_support_bytes = exchange->http->options.zip_max_support_bytes;
}

/* Types are procinspect_dump_capture's to refuse, behind the host's policy. */
static int32_t check_supported(const pi_http_exchange *exchange, const dump_request *request,
                               procinspect_error *error) {
    if (request->format->content_type == NULL)
        return pi_error_set(error, PROCINSPECT_ERROR_UNSUPPORTED, 0,
                            "format=%s is not supported yet; this version takes dumps with "
                            "format=raw or zip.",
                            request->format->name);
    procinspect_dump_stream_options options;
    stream_options_init(&options, exchange, request);
    return procinspect_dump_stream_options_check(&options, error);
}

/* What both HEAD and GET answer. */
static int32_t add_file_headers(pi_http_exchange *exchange, const procinspect_process *process,
                                const dump_format *format, procinspect_error *error) {
    const procinspect_process_info *info;
    int32_t code = procinspect_process_info_read(process, PROCINSPECT_PROCESS_NAME, &info, error);
    if (code != PROCINSPECT_OK)
        return code;
    char disposition[PI_HTTP_FILE_NAME_CAPACITY + 32];
    char file_name[PI_HTTP_FILE_NAME_CAPACITY];
    pi_http_dump_file_name(exchange->http, info->name, time(NULL), format->extension, file_name);
    procinspect_process_info_free(info);
    snprintf(disposition, sizeof disposition, "attachment; filename=%s", file_name);
    code = pi_http_response_add_header(exchange->response, "Content-Type", format->content_type,
                                       error);
    if (code == PROCINSPECT_OK)
        code = pi_http_response_add_header(exchange->response, "Content-Disposition", disposition,
                                           error);
    return code;
}

static int32_t answer_dump(pi_http_exchange *exchange, procinspect_dump *dump,
                           const dump_request *request, procinspect_error *error) {
    procinspect_http_response *response = &exchange->response->public;
    uint64_t pause_ns = procinspect_dump_report_get(dump)->pause_ns;
    char pause_us[24];
    snprintf(pause_us, sizeof pause_us, "%" PRIu64, pause_ns / 1000);
    int32_t code =
        pi_http_response_add_header(exchange->response, "X-Procinspect-Pause-Us", pause_us, error);
    if (code != PROCINSPECT_OK)
        return code;
    procinspect_dump_stream_options options;
    stream_options_init(&options, exchange, request);
    options.cancellation = exchange->request.cancellation;
    code = procinspect_stream_open_dump(dump, &options, &response->body, error);
    if (code == PROCINSPECT_OK)
        response->body_size_bytes = procinspect_stream_size_bytes(response->body);
    return code;
}

static procinspect_dump_options dump_options(const pi_http_exchange *exchange,
                                             const dump_request *request) {
    procinspect_dump_options options;
    procinspect_dump_options_init(&options, sizeof options);
    options.type = request->type;
    options.flags = request->redact ? PROCINSPECT_DUMP_REDACT : 0;
    options.cancellation = exchange->request.cancellation;
    return options;
}

/* A HEAD is refused as the GET would be, but for what only the attempt at a capture tells. It stops
 * nothing, and names no size: that would only be predicted. */
static int32_t capture_and_answer(pi_http_exchange *exchange, const procinspect_process *process,
                                  const dump_request *request, procinspect_error *error) {
    procinspect_dump_options options = dump_options(exchange, request);
    if (exchange->is_head)
        options.flags |= PROCINSPECT_DUMP_ONLY_CHECK;
    procinspect_dump *dump;
    int32_t code = procinspect_dump_capture(process, &options, &dump, error);
    if (code != PROCINSPECT_OK || exchange->is_head)
        return code;
    code = answer_dump(exchange, dump, request, error);
    procinspect_dump_free(dump); /* the stream keeps it */
    return code;
}

static int32_t send_file(pi_http_exchange *exchange, const procinspect_process *process,
                         const dump_request *request, procinspect_error *error) {
    int32_t code = add_file_headers(exchange, process, request->format, error);
    exchange->response->public.status = 200;
    exchange->response->public.body_size_bytes = -1;
    return code == PROCINSPECT_OK ? capture_and_answer(exchange, process, request, error) : code;
}

static int32_t send_estimate(pi_http_exchange *exchange, const procinspect_process *process,
                             const dump_request *request, procinspect_error *error) {
    procinspect_dump_options options = dump_options(exchange, request);
    const procinspect_dump_estimate *estimate;
    int32_t code = procinspect_dump_estimate_read(process, &options, &estimate, error);
    if (code != PROCINSPECT_OK)
        return code;
    procinspect_json_options json_options = pi_http_json_options(exchange, 0);
    const procinspect_json *json = NULL;
    code = procinspect_json_dump_estimate(estimate, &json_options, &json, error);
    procinspect_dump_estimate_free(estimate);
    return pi_http_answer_json(exchange, code, json, error);
}

int32_t pi_http_send_dump(pi_http_exchange *exchange, procinspect_error *error) {
    dump_request request;
    procinspect_process *process;
    int32_t code = parse_dump_request(exchange, &request, error);
    if (code == PROCINSPECT_OK)
        code = pi_http_open_process(exchange, &process, error);
    if (code != PROCINSPECT_OK)
        return code;
    code = check_supported(exchange, &request, error);
    if (code == PROCINSPECT_OK)
        code = request.dry_run ? send_estimate(exchange, process, &request, error)
                               : send_file(exchange, process, &request, error);
    procinspect_process_free(process);
    return code;
}
