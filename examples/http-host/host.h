/* SPDX-License-Identifier: MIT */
#ifndef HTTP_HOST_H
#define HTTP_HOST_H

/*
 * The example host: libprocinspect behind libmicrohttpd. handle.c is the glue between the two,
 * guard.c decides who may ask, main.c reads the options, starts the server and ends it.
 */

#include <stdbool.h>
#include <stddef.h>

#include <microhttpd.h>
#include <procinspect.h>

enum { TOKEN_CAPACITY = 257, ORIGIN_COUNT = 3 };

/* What requests are answered with. It is complete before the server starts and only read then. */
struct host {
    procinspect_http *http;
    procinspect_cancellation *stopping; /* requested when the host ends: cuts what is under way */
    const char *public_url;             /* NULL: hrefs start with the origin that was asked */
    /* "http://127.0.0.1:8780", as browsers send it; the host answers to these names only. */
    const char *origins[ORIGIN_COUNT];
    char cookie_name[32];
    /* The token, and the header that makes it a cookie, for http and https. They are never copied
     * to a stack: a small dump of this process holds the stacks, and dumps are handed around. */
    char token[TOKEN_CAPACITY];
    char set_cookie[2][TOKEN_CAPACITY + 100];
};

struct request {
    char *path;             /* as it came over the wire; the request's to free */
    char *query;            /* behind the '?', in the same memory; NULL: none */
    const char *target_end; /* the NUL behind both, in libmicrohttpd's own text */
    const char *origin;     /* the one of the host's origins that was asked */
    bool is_admitted;
};

/* guard.c. guard_set_token ends the host where the file has no token. guard_check gives 0, go on,
 * 303, answer with guard_redirect, or the status to refuse with. */
void guard_set_token(struct host *host, const char *file_path); /* NULL: a random one */
void guard_set_names(struct host *host, const char *address, const char *port);
unsigned guard_check(const struct host *host, struct MHD_Connection *connection, const char *method,
                     struct request *request);
struct MHD_Response *guard_redirect(const struct host *host, const struct request *request);

/* handle.c: callbacks for MHD_start_daemon; their first argument is the host. */
void handle_connection(void *host, struct MHD_Connection *connection, void **slot,
                       enum MHD_ConnectionNotificationCode code);
void *handle_target(void *host, const char *target, struct MHD_Connection *connection);
enum MHD_Result handle_request(void *host, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload_data,
                               size_t *upload_data_size, void **request);

#endif
