/* SPDX-License-Identifier: MIT */
#ifndef HTTP_HOST_H
#define HTTP_HOST_H

/*
 * The example host: libprocinspect behind libmicrohttpd. handle.c is the glue between the two,
 * guard.c decides who may ask, main.c starts and ends it; options.c and page.c are what they are
 * named.
 */

#include <stdbool.h>
#include <stddef.h>

#include <microhttpd.h>
#include <procinspect.h>

enum { TOKEN_CAPACITY = 257, ORIGIN_CAPACITY = 300, ORIGIN_COUNT = 3 };

/* What requests are answered with. It is complete before the server starts and only read then. */
struct host {
    procinspect_http *http;
    procinspect_cancellation *stopping; /* requested when the host ends: cuts what is under way */
    char token[TOKEN_CAPACITY];
    char cookie_name[32];
    /* "http://127.0.0.1:8780", as browsers send it; the host answers to these names only. */
    char origins[ORIGIN_COUNT][ORIGIN_CAPACITY];
    const char *public_url; /* NULL: hrefs start with the origin that was asked */
};

/* What the command line said, 0 or NULL where it said nothing. Its texts are argv's. */
struct options {
    const char *listen;
    const char *token_file;
    const char *public_url;
    uint64_t main_site_pid;
    uint64_t max_connections;
    uint64_t max_dump_bytes;
    uint64_t max_dumps;
    uint64_t max_pause_ms;
    procinspect_context_options context; /* with the limits above */
};

/* The request that a connection is at. */
struct request {
    bool is_admitted;
    char *target; /* path, '?', query, as they came over the wire: MHD's own copies are cut */
    size_t path_length;
    const char *query; /* in target; NULL: none */
};

/* options.c: returns -1 to go on, else the exit status. */
int options_parse(int argc, char **argv, struct options *options);
bool token_read(const char *path, char token[TOKEN_CAPACITY]);
bool token_make(char token[TOKEN_CAPACITY]);

/* guard.c: who may ask. status 0: go on; 303: guard_redirect answers; else refuse with detail. */
struct verdict {
    unsigned status;
    const char *detail;
    const char *origin; /* the one of the host's origins that was asked */
};
struct verdict guard_check(const struct host *host, struct MHD_Connection *connection,
                           const char *method, const struct request *request);
struct MHD_Response *guard_redirect(const struct host *host, const struct request *request,
                                    const char *origin);

/* handle.c: the callbacks of MHD_start_daemon; their first argument is a struct host. */
void handle_connection(void *host, struct MHD_Connection *connection, void **request,
                       enum MHD_ConnectionNotificationCode code);
void *handle_target(void *host, const char *target, struct MHD_Connection *connection);
size_t handle_unescape(void *host, struct MHD_Connection *connection, char *text);
enum MHD_Result handle_request(void *host, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload_data,
                               size_t *upload_data_size, void **request);

/* page.c */
extern const char page_html[];

#endif
