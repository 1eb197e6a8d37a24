/* SPDX-License-Identifier: MIT */
#ifndef PROCINSPECT_HTTP_H
#define PROCINSPECT_HTTP_H

#include <procinspect/cancellation.h>
#include <procinspect/context.h>
#include <procinspect/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The routes of Kudu's /api/processes as a function: a request goes in, a response comes out. It
 * knows no server, opens no socket and starts no thread but those that compress a zip; the host's
 * server parses HTTP, authenticates, and sends what is returned here. It may block for as long as a
 * dump takes, or a kill: its grace, of up to ten minutes, and some seconds, or minutes where the
 * kernel hangs (kill.h). A host with an event loop calls it, and reads the response's stream, on
 * its thread pool.
 *
 *   GET                  /api/processes              ?allUsers=true
 *   GET                  /api/processes/{id}         ?redact=true
 *   DELETE               /api/processes/{id}         ?grace=SECONDS
 *   POST                 /api/processes/{id}/stop    ?grace=SECONDS
 *   GET                  /api/processes/{id}/threads, …/threads/{tid}
 *   GET                  /api/processes/{id}/modules, …/modules/{base}
 *   GET                  /api/processes/{id}/environments/{filter}   ?redact=true
 *   GET                  /api/processes/{id}/dump    ?dumpType=N&format=raw|zip
 *                                                    &dryRun=true&redact=true
 *   any                  /api/processes/{id}/profile/start, …/stop   501: there is no profiler
 *
 * with /api/diagnostics/processes and /diagnostics/processes as aliases, HEAD wherever GET is, and
 * a slash at the end accepted. On /dump HEAD stops nothing, names no length, and answers what GET
 * would, but for what only the attempt tells: such as that the process can't be stopped in time or
 * can't be copied, or has more memory by then (PROCINSPECT_DUMP_ONLY_CHECK of dump.h).
 *
 * {id} is a decimal pid, 0 for the host's own process (404 with another proc_root), -1 for the main
 * site. Segments are percent-decoded; case is ignored in routes, query names, booleans, `all` and
 * `format`. This version answers 501 to a dumpType with other bits than dump.h names and to
 * format=core (and zip where the build left it out). redact=true on a dump is
 * PROCINSPECT_DUMP_REDACT of dump.h.
 *
 * dryRun=true on a dump answers what the dump would be, as JSON (procinspect_json_dump_estimate):
 * nothing is stopped, and what would be refused is refused as the dump would be, but for 429. The
 * size is that of the minidump, whatever the format.
 *
 * A '+' in a query is a space. Refused with 400: a path or query of more than 8192 bytes, an
 * environment filter of more than 512, and a query name that the route knows and that is there
 * twice.
 *
 * DELETE and stop end the process and all it started (kill.h): 204 when all members of the tree
 * that were found are gone, 500 with a list where some are not; its member report has what became
 * of each (json.h). A 204 tells nothing of escaped processes, nor whether every fork was heard of:
 * who needs that calls procinspect_kill_tree. For the host's own process, 0, they answer 204 first:
 * the tree is ended when the host frees that response, the host's process last, and
 * procinspect_http_response_free does not return, unless the host can't be ended (no helper process
 * could be started, or a member that came since may not be signalled). A host therefore frees a
 * response once it is sent, and not before.
 *
 * Success is 200 with JSON or, of /dump, with application/octet-stream or application/zip; 204
 * without a body. A zip is compressed while it is sent, by threads of the host process (stream.h):
 * its body_size_bytes is -1, so send it in chunks. Errors are application/problem+json: type,
 * title, status, detail, and Message and ExceptionMessage with detail's text.
 *
 *   400  an id, base, dumpType, format, query value or percent-encoding that doesn't parse
 *   403  the host's policy refuses (POLICY), or the kernel does (PERMISSION); the text says which
 *   404  no such process, thread, module or route; a dump or the environment of a zombie
 *   405  the path is there with other methods; Allow lists them
 *   409  a debugger is attached (TRACED), or another process has the number by now (REPLACED)
 *   413  the dump, or the JSON, would be larger than a limit (TOO_LARGE)
 *   429  max_concurrent_dumps are being taken or sent (BUSY); Retry-After says when to try again
 *   500  a kill left members of the tree alive, and lists them; reading failed (IO)
 *   501  this build, version or system can't do it (UNSUPPORTED); a profiler
 *   503  out of memory, descriptors or processes; a target that couldn't be stopped in time
 *        (TIMED_OUT); a request that was cancelled, whose client has gone
 *
 * Headers of responses: Content-Type always where there is a body; Allow (405); Retry-After in
 * seconds (429); of dumps Content-Disposition (attachment, "NAME-INSTANCE-MM-dd-HH-mm-ss.dmp" or
 * ".zip", UTC) and X-Procinspect-Pause-Us, how long the process was stopped in microseconds (not
 * for HEAD); X-Instance-Id and Set-Cookie where the site has instances (instance_id below).
 * Cache-Control and what else a server says of security is the host's to add.
 */
typedef struct procinspect_http procinspect_http;

/* Gives the pid of the main site, 0 when there is none now. Called for every request to -1, on its
 * thread: it must be safe to call from all that use the handler. */
typedef int32_t (*procinspect_main_site_callback)(void *user);

typedef struct procinspect_http_options {
    uint32_t struct_size;                     /* set by _init */
    int32_t main_site_pid;                    /* what {id} -1 stands for; 0: none */
    procinspect_main_site_callback main_site; /* asked in place of main_site_pid; nullable */
    void *main_site_user;
    /* How the host calls the setting behind -1, named in the 404 where there is none; NULL:
     * "main_site_pid". */
    const char *main_site_setting;
    /* machineName; NULL: the node name of uname(2). */
    const char *machine_name;
    /* Which of a site's instances this is; NULL: WEBSITE_INSTANCE_ID of the host's environment;
     * where that isn't set either, or is empty, there are no instances. Answers then carry
     * X-Instance-Id and, unless the request's cookie has it, set the cookie ARRAffinity. At most
     * 128 bytes of letters, digits, '-', '_' and '.'; others are refused. */
    const char *instance_id;
    /* Of dumps with format=zip: PROCINSPECT_ZIP_… flags and max_support_bytes (stream.h), the
     * host's to decide, not the client's. */
    uint32_t zip_flags;
    uint32_t reserved;
    uint64_t zip_max_support_bytes;
} procinspect_http_options;

PROCINSPECT_API void procinspect_http_options_init(procinspect_http_options *options,
                                                   size_t struct_size);

/*
 * Makes a handler over a context; it keeps what it needs of the context. Options may be NULL, their
 * texts are copied. May be used by any number of threads at the same time. Free with
 * procinspect_http_free. Errors: INVALID_ARGUMENT, NO_MEMORY.
 */
PROCINSPECT_API int32_t procinspect_http_new(const procinspect_context *context,
                                             const procinspect_http_options *options,
                                             procinspect_http **http, procinspect_error *error);
/* Responses that were made by it stay valid; no call may be under way. NULL does nothing. */
PROCINSPECT_API void procinspect_http_free(procinspect_http *http);

/* A request as it came over the wire; nothing in it needs to be valid. All of it is borrowed for
 * the call, except the cancellation, of which the response keeps a reference. */
typedef struct procinspect_http_request {
    uint32_t struct_size; /* set by _init */
    uint32_t reserved;
    const char *method; /* "GET"; NUL-terminated */
    /* Of the URL, as sent: percent-encoded, without the query. A whole URL, as a proxy is sent it,
     * will do; its host isn't looked at. */
    const char *path;
    size_t path_length_bytes;
    const char *query; /* behind the '?', as sent; NULL: none */
    size_t query_length_bytes;
    /* Scheme, host and mount point under which the client reaches the routes,
     * "https://site.example", put before the path in every href; no slash at its end. NULL: hrefs
     * are paths. */
    const char *base_url;
    /* The Cookie header; NULL: none. Only its ARRAffinity matters. */
    const char *cookie;
    /* Nullable. Request it when the client has gone: the call ends early, and so does the
     * response's stream. */
    procinspect_cancellation *cancellation;
} procinspect_http_request;

PROCINSPECT_API void procinspect_http_request_init(procinspect_http_request *request,
                                                   size_t struct_size);

typedef struct procinspect_http_header {
    const char *name;
    const char *value; /* never has a control character in it */
} procinspect_http_header;

/* What to send. Reached by pointer only; everything in it lives until
 * procinspect_http_response_free. */
typedef struct procinspect_http_response {
    uint32_t status; /* of HTTP, 200 to 503 */
    uint32_t reserved;
    /* Content-Type and the rest; not Content-Length, which follows from body_size_bytes. */
    const procinspect_http_header *const *headers;
    size_t header_count;
    /* Length of the body: send it as Content-Length. -1: not known, use chunks or close the
     * connection. */
    int64_t body_size_bytes;
    /* The body, or NULL: none is sent (HEAD, 204), whatever body_size_bytes says. Owned by the
     * response. If it fails midway cut the connection, so that the client doesn't take what came
     * for the whole. */
    procinspect_stream *body;
} procinspect_http_response;

/*
 * Answers a request. Whatever the client did wrong, and whatever the system refuses, is a response
 * with its status and text. *response is the caller's: send it, then free it with
 * procinspect_http_response_free. Errors: INVALID_ARGUMENT (the host's mistake: no method, no
 * path), NO_MEMORY (not even for an answer: send a 503). Any number of threads at once.
 */
PROCINSPECT_API int32_t procinspect_http_handle(const procinspect_http *http,
                                                const procinspect_http_request *request,
                                                const procinspect_http_response **response,
                                                procinspect_error *error);

/* Frees the response and its stream, and with it the dump behind it, read to its end or not. Ends
 * the host where the response is the 204 to a DELETE of 0. NULL does nothing; any thread. */
PROCINSPECT_API void procinspect_http_response_free(const procinspect_http_response *response);

#ifdef __cplusplus
}
#endif

#endif
