/* SPDX-License-Identifier: MIT */
#include "http/routes.h"

#include <string.h>

#include "http/values.h"

/*
 * A request is judged in this order, and the first that fails answers:
 *
 *   1. the target: too long, or badly percent-encoded       400
 *   2. the path                                             404
 *   3. the method                                           405
 *   4. ids, base and query values that the route uses       400
 *   5. a profiler, which there never is                     501
 *   6. the process: the host's policy, then whether it runs 403, 404
 *   7. what this version can't do yet                       501
 *   8. the thread, module or dump itself                    403 and the others
 */

enum { PREFIX_SEGMENTS = 3, ROUTE_SEGMENTS = 3 };

static const struct {
    const char *path;
    const char *segments[PREFIX_SEGMENTS];
} prefixes[] = {
    {"/api/processes", {"api", "processes"}},
    {"/api/diagnostics/processes", {"api", "diagnostics", "processes"}},
    {"/diagnostics/processes", {"diagnostics", "processes"}},
};

/* Below the prefix. A segment in braces takes any text. */
static const struct route {
    const char *method; /* NULL: any */
    const char *segments[ROUTE_SEGMENTS];
    pi_http_handler handler;
} routes[] = {
    {"GET", {NULL}, pi_http_list_processes},
    {"GET", {"{id}"}, pi_http_show_process},
    {"DELETE", {"{id}"}, pi_http_end_process},
    {"POST", {"{id}", "stop"}, pi_http_end_process},
    {"GET", {"{id}", "threads"}, pi_http_list_threads},
    {"GET", {"{id}", "threads", "{tid}"}, pi_http_show_thread},
    {"GET", {"{id}", "modules"}, pi_http_list_modules},
    {"GET", {"{id}", "modules", "{base}"}, pi_http_show_module},
    {"GET", {"{id}", "environments", "{filter}"}, pi_http_show_environment},
    {"GET", {"{id}", "dump"}, pi_http_send_dump},
    {NULL, {"{id}", "profile", "start"}, pi_http_profile},
    {NULL, {"{id}", "profile", "stop"}, pi_http_profile},
};

/* How many segments of the path the prefix takes, 0 where the path begins otherwise. */
static size_t match_prefix(const pi_http_exchange *exchange, const char *const *segments) {
    size_t count = 0;
    while (count < PREFIX_SEGMENTS && segments[count] != NULL) {
        if (count >= exchange->segment_count ||
            !pi_http_text_is(exchange->segments[count], segments[count]))
            return 0;
        count++;
    }
    return count;
}

static bool match_segments(const struct route *route, const pi_http_text *segments, size_t count,
                           pi_http_text captures[PI_HTTP_CAPTURES]) {
    size_t captured = 0;
    for (size_t i = 0; i < ROUTE_SEGMENTS; i++) {
        const char *pattern = route->segments[i];
        if (pattern == NULL || i >= count)
            return pattern == NULL && i == count;
        if (pattern[0] == '{')
            captures[captured++] = segments[i];
        else if (!pi_http_text_is(segments[i], pattern))
            return false;
    }
    return count == ROUTE_SEGMENTS;
}

static void allow_method(char allow[PI_HTTP_ALLOW_CAPACITY], const char *method) {
    if (allow[0] != '\0')
        strcat(allow, ", ");
    strcat(allow, strcmp(method, "GET") == 0 ? "GET, HEAD" : method);
}

pi_http_match pi_http_find_route(pi_http_exchange *exchange, pi_http_handler *handler,
                                 const char **prefix, char allow[PI_HTTP_ALLOW_CAPACITY]) {
    size_t taken = 0;
    for (size_t i = 0; taken == 0 && i < sizeof prefixes / sizeof prefixes[0]; i++) {
        taken = match_prefix(exchange, prefixes[i].segments);
        *prefix = prefixes[i].path;
    }
    if (taken == 0 || exchange->segment_count > PI_HTTP_SEGMENTS)
        return PI_HTTP_NO_PATH;

    const char *method = exchange->is_head ? "GET" : exchange->request.method;
    allow[0] = '\0';
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!match_segments(&routes[i], exchange->segments + taken, exchange->segment_count - taken,
                            exchange->captures))
            continue;
        if (routes[i].method == NULL || strcmp(method, routes[i].method) == 0) {
            *handler = routes[i].handler;
            return PI_HTTP_MATCHED;
        }
        allow_method(allow, routes[i].method);
    }
    return allow[0] == '\0' ? PI_HTTP_NO_PATH : PI_HTTP_NO_METHOD;
}
