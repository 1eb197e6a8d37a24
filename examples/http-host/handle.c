/* SPDX-License-Identifier: MIT */
/*
 * The glue: libmicrohttpd's request becomes a procinspect_http_request, and the response goes back
 * as a stream.
 *
 * While a dump is captured (at most --max-pause-ms) nobody reads the connection, so a client that
 * goes is noticed with the first bytes that can't be sent to it. The response is freed then, and
 * the dump with it. A host on an event loop sees it earlier, and requests the call's cancellation.
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>

static const char page[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>libprocinspect</title>\n"
    "<h1>libprocinspect</h1>\n"
    "<ul><li><a href=\"api/processes?allUsers=true\">All processes</a>\n"
    "<li><a href=\"api/processes\">Processes of the user that this host runs as</a>\n"
    "<li><a href=\"api/processes/0\">This host</a>, its\n"
    "<a href=\"api/processes/0/threads\">threads</a>,\n"
    "<a href=\"api/processes/0/modules\">modules</a>,\n"
    "<a href=\"api/processes/0/environments/all\">environment</a> and\n"
    "<a href=\"api/processes/0/dump\">minidump</a> (open it with <code>lldb -c FILE</code>)\n"
    "<li><a href=\"api/processes/-1\">The main site</a>, as <code>--main-site</code> names "
    "it</ul>\n"
    "<p>Another process's id in place of 0 gives the same of it. Answers are JSON; every object\n"
    "in them has the <code>href</code> that leads to it. A process and all that it started is\n"
    "ended by <code>DELETE api/processes/ID</code>, where the host allows it.</p></html>\n";

/* Each connection has a request to use again and again, for libmicrohttpd tells for certain when a
 * connection ends, but not when a request does that it refused itself. */
void handle_connection(void *host, struct MHD_Connection *connection, void **slot,
                       enum MHD_ConnectionNotificationCode code) {
    struct request *request = *slot;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *slot = calloc(1, sizeof(*request));
    } else if (request != NULL) {
        free(request->path);
        free(request);
    }
}

/* A request has begun. What this returns is the state of handle_request. */
void *handle_target(void *host, const char *target, struct MHD_Connection *connection) {
    struct request *request =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    if (request == NULL)
        return NULL;
    free(request->path);
    *request = (struct request){.path = strdup(target), .target_end = target + strlen(target)};
    if (request->path == NULL)
        return NULL;
    request->query = request->path;
    strsep(&request->query, "?");
    /* What is behind the '?' in the server's own buffer it would split into arguments, which nobody
     * asks for, and cut the connection where these are more than its memory holds. */
    char *arguments = strchr(target, '?');
    if (arguments != NULL)
        arguments[1] = '\0';
    return request;
}

/* Sends the response, NULL for one that there was no memory for, and gives it up. */
static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status,
                               struct MHD_Response *response) {
    if (response == NULL)
        return MHD_NO; /* cuts the connection */
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "Content-Security-Policy",
                            "default-src 'none'; base-uri 'none'; "
                            "form-action 'none'; frame-ancestors 'none'");
    if (status == 401)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result respond_text(struct MHD_Connection *connection, unsigned status,
                                    const char *type, const char *text) {
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (response != NULL)
        MHD_add_response_header(response, "Content-Type", type);
    if (response != NULL && status == 405)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    return respond(connection, status, response);
}

static const char *refusal(unsigned status) {
    switch (status) {
    case 400:
        return "There is a NUL byte in the URL. Send it without.";
    case 401:
        return "The token is missing or wrong. Send it as \"Authorization: Bearer TOKEN\", or open "
               "the URL with ?token= once in a browser.";
    case 403:
        return "The request comes from a page of another site (Sec-Fetch-Site, Origin or Referer "
               "say so). Open the URL from the address bar.";
    case 405:
        return "The page at / is only there to be looked at: use GET or HEAD. The processes are at "
               "/api/processes.";
    case 421:
        return "The Host header is none of this server's own names. Use the address that it "
               "printed at its start, or name another one with --public-url.";
    default: /* 503 */
        return "Out of memory. Try again later.";
    }
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status) {
    const procinspect_json *problem;
    if (procinspect_json_problem(status, refusal(status), NULL, &problem, NULL) != 0)
        return MHD_NO;
    enum MHD_Result result =
        respond_text(connection, status, "application/problem+json", problem->text);
    procinspect_json_free(problem);
    return result;
}

static ssize_t read_body(void *answer, uint64_t position, char *buffer, size_t capacity) {
    const procinspect_http_response *response = answer;
    size_t length = 0;
    if (procinspect_stream_read(response->body, buffer, capacity, &length, NULL) != 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    return length > 0 ? (ssize_t)length : MHD_CONTENT_READER_END_OF_STREAM;
}

static void free_answer(void *answer) {
    procinspect_http_response_free(answer);
}

/* Hands the request to the library and its response to the server, which frees it once it is sent
 * or the client has gone. */
static enum MHD_Result answer(const struct host *host, struct MHD_Connection *connection,
                              const char *method, const struct request *request) {
    procinspect_http_request in;
    procinspect_http_request_init(&in, sizeof(in));
    in.method = method;
    in.path = request->path;
    in.path_length_bytes = strlen(request->path);
    in.query = request->query;
    in.query_length_bytes = request->query != NULL ? strlen(request->query) : 0;
    in.base_url = host->public_url != NULL ? host->public_url : request->origin;
    in.cookie = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Cookie");
    in.cancellation = host->stopping;

    const procinspect_http_response *out;
    if (procinspect_http_handle(host->http, &in, &out, NULL) != 0)
        return refuse(connection, 503);
    struct MHD_Response *response = MHD_create_response_from_callback(
        out->body_size_bytes < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)out->body_size_bytes, 65536,
        read_body, (void *)(uintptr_t)out, free_answer);
    if (response == NULL)
        free_answer((void *)(uintptr_t)out);
    else if (out->body == NULL && out->body_size_bytes < 0)
        /* To HEAD. In chunks, libmicrohttpd would send their end, which a client that goes on takes
         * for the next answer's begin; so the connection ends with this one. */
        MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    for (size_t i = 0; response != NULL && i < out->header_count; i++)
        MHD_add_response_header(response, out->headers[i]->name, out->headers[i]->value);
    return respond(connection, out->status, response);
}

/* The header has come: may the request go on? */
static enum MHD_Result admit(const struct host *host, struct MHD_Connection *connection,
                             const char *method, const char *version, struct request *request) {
    /* The text of the target ends at the first NUL. Where the client's went on, the version, which
     * comes behind it, doesn't follow at once. */
    bool has_nul = version[0] != '\0' && version != request->target_end + 1;
    unsigned status = has_nul ? 400 : guard_check(host, connection, method, request);
    if (status == 303)
        return respond(connection, status, guard_redirect(host, request));
    request->is_admitted = status == 0;
    return status == 0 ? MHD_YES : refuse(connection, status);
}

enum MHD_Result handle_request(void *host, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload_data,
                               size_t *upload_data_size, void **state) {
    struct request *request = *state;
    if (request == NULL)
        return MHD_NO;
    if (!request->is_admitted)
        return admit(host, connection, method, version, request);
    if (*upload_data_size > 0) { /* the body of a POST: no route has a use for it */
        *upload_data_size = 0;
        return MHD_YES;
    }
    if (strcmp(request->path, "/") != 0)
        return answer(host, connection, method, request);
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return refuse(connection, 405);
    return respond_text(connection, 200, "text/html; charset=utf-8", page);
}
