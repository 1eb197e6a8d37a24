/* SPDX-License-Identifier: MIT */
/*
 * The glue: libmicrohttpd's request becomes a procinspect_http_request, and the response goes back
 * as a stream. Each connection has a thread, so a slow client keeps only itself waiting.
 *
 * While a dump is captured (at most --max-pause-ms) nobody reads the connection, so a client that
 * goes is noticed with the first bytes that can't be sent to it. The response is freed then, and
 * the dump with it. A host on an event loop sees it earlier, and requests the call's cancellation.
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>

static const char *const common_headers[][2] = {
    {"Cache-Control", "no-store"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Content-Security-Policy",
     "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
};

/* What a request needs is kept with its connection: that is told for certain when it ends, also
 * where the server itself refuses a request. */
void handle_connection(void *host, struct MHD_Connection *connection, void **state,
                       enum MHD_ConnectionNotificationCode code) {
    (void)host;
    (void)connection;
    struct request *request = *state;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *state = calloc(1, sizeof(*request));
    } else if (request != NULL) {
        free(request->target);
        free(request);
    }
}

/* The next request of a connection has begun; what this returns is the state of handle_request. */
void *handle_target(void *host, const char *target, struct MHD_Connection *connection) {
    (void)host;
    struct request *request =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    if (request == NULL)
        return NULL;
    free(request->target);
    *request = (struct request){.target = strdup(target), .path_length = strcspn(target, "?")};
    if (request->target == NULL)
        return NULL;
    if (target[request->path_length] == '?')
        request->query = request->target + request->path_length + 1;
    return request;
}

/* Leaves percent-encoded text alone: the library decodes, a NUL in it included. */
size_t handle_unescape(void *host, struct MHD_Connection *connection, char *text) {
    (void)host;
    (void)connection;
    return strlen(text);
}

/* Sends the response, NULL for one that there was no memory for, and gives it up. */
static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status,
                               struct MHD_Response *response) {
    if (response == NULL)
        return MHD_NO; /* cuts the connection */
    for (size_t i = 0; i < sizeof(common_headers) / sizeof(common_headers[0]); i++)
        MHD_add_response_header(response, common_headers[i][0], common_headers[i][1]);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static struct MHD_Response *text_response(const char *text, const char *type) {
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (response != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    return response;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status,
                              const char *detail) {
    const procinspect_json *problem;
    if (procinspect_json_problem(status, detail, NULL, &problem, NULL) != 0)
        return MHD_NO;
    struct MHD_Response *response = text_response(problem->text, "application/problem+json");
    procinspect_json_free(problem);
    if (response != NULL && status == 401)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    return respond(connection, status, response);
}

static ssize_t read_body(void *answer, uint64_t position, char *buffer, size_t capacity) {
    const procinspect_http_response *response = answer;
    (void)position;
    size_t length = 0;
    if (response->body == NULL ||
        procinspect_stream_read(response->body, buffer, capacity, &length, NULL) != 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    return length > 0 ? (ssize_t)length : MHD_CONTENT_READER_END_OF_STREAM;
}

static void free_answer(void *answer) {
    procinspect_http_response_free(answer);
}

/* Hands the request to the library and its response to the server, which frees it once it is sent
 * or the client has gone. */
static enum MHD_Result answer(const struct host *host, struct MHD_Connection *connection,
                              const char *method, const struct request *target,
                              const char *origin) {
    procinspect_http_request request;
    procinspect_http_request_init(&request, sizeof(request));
    request.method = method;
    request.path = target->target;
    request.path_length_bytes = target->path_length;
    request.query = target->query;
    request.query_length_bytes = target->query != NULL ? strlen(target->query) : 0;
    request.base_url = host->public_url != NULL ? host->public_url : origin;
    request.cookie = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Cookie");
    request.cancellation = host->stopping;

    const procinspect_http_response *answered;
    if (procinspect_http_handle(host->http, &request, &answered, NULL) != 0)
        return refuse(connection, 503, "Out of memory. Try again later.");
    uint64_t size =
        answered->body_size_bytes < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)answered->body_size_bytes;
    struct MHD_Response *response = MHD_create_response_from_callback(
        size, 65536, read_body, (void *)(uintptr_t)answered, free_answer);
    if (response == NULL) {
        procinspect_http_response_free(answered);
        return MHD_NO;
    }
    for (size_t i = 0; i < answered->header_count; i++)
        MHD_add_response_header(response, answered->headers[i]->name, answered->headers[i]->value);
    return respond(connection, answered->status, response);
}

enum MHD_Result handle_request(void *user, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload_data,
                               size_t *upload_data_size, void **state) {
    const struct host *host = user;
    struct request *request = *state;
    (void)url;
    (void)version;
    (void)upload_data;
    if (request == NULL)
        return MHD_NO;
    if (*upload_data_size > 0) { /* the body of a POST: no route has a use for it */
        *upload_data_size = 0;
        return MHD_YES;
    }
    struct verdict verdict = guard_check(host, connection, method, request);
    if (verdict.status == 303)
        return respond(connection, 303, guard_redirect(host, request, verdict.origin));
    if (verdict.status != 0)
        return refuse(connection, verdict.status, verdict.detail);
    if (!request->is_admitted) { /* the header has come; called again behind the body */
        request->is_admitted = true;
        return MHD_YES;
    }
    if (request->path_length == 1 && request->target[0] == '/' &&
        (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0))
        return respond(connection, 200, text_response(page_html, "text/html; charset=utf-8"));
    return answer(host, connection, method, request, verdict.origin);
}
