/* SPDX-License-Identifier: MIT */
/*
 * Who may ask. A browser on this machine runs the pages of strangers, and they can send requests
 * here: under a name of theirs that they point at this address (refused by Host), or under ours
 * (refused by what browsers say about where a request comes from). Then the token.
 */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *header(struct MHD_Connection *connection, const char *name) {
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* The one of our origins whose host and port the Host header names, NULL: none. */
static const char *origin_asked(const struct host *host, const char *host_header) {
    for (size_t i = 0; i < ORIGIN_COUNT && host_header != NULL; i++) {
        const char *authority = strstr(host->origins[i], "://");
        if (authority != NULL && strcasecmp(authority + 3, host_header) == 0)
            return host->origins[i];
    }
    return NULL;
}

/* Is this Origin, or the start of this Referer, one of ours? */
static bool is_own(const struct host *host, const char *url) {
    for (size_t i = 0; i < ORIGIN_COUNT; i++) {
        size_t length = strlen(host->origins[i]);
        if (length > 0 && strncasecmp(url, host->origins[i], length) == 0 &&
            (url[length] == '\0' || url[length] == '/'))
            return true;
    }
    return false;
}

static bool is_from_another_site(const struct host *host, struct MHD_Connection *connection) {
    const char *site = header(connection, "Sec-Fetch-Site");
    const char *origin = header(connection, "Origin");
    const char *referer = header(connection, "Referer");
    return (site != NULL && strcmp(site, "none") != 0 && strcmp(site, "same-origin") != 0) ||
           (origin != NULL && !is_own(host, origin)) || (referer != NULL && !is_own(host, referer));
}

/* Takes as long for any text of one length, however much of the token it has right. */
static bool is_token(const char *token, const char *text, size_t length) {
    size_t token_length = strlen(token);
    unsigned difference = token_length != length;
    for (size_t i = 0; i < token_length; i++)
        difference |= (unsigned char)token[i] ^ (i < length ? (unsigned char)text[i] : 0U);
    return difference == 0;
}

/* The next part of a query between '&'s; *query goes on behind it. NULL at the end. */
static const char *next_parameter(const char **query, size_t *length) {
    const char *parameter = *query;
    if (parameter == NULL)
        return NULL;
    *length = strcspn(parameter, "&");
    *query = parameter[*length] == '&' ? parameter + *length + 1 : NULL;
    return parameter;
}

static bool is_token_parameter(const char *parameter) {
    return strncmp(parameter, "token=", 6) == 0;
}

static bool is_cookie_right(const struct host *host, struct MHD_Connection *connection) {
    const char *cookie =
        MHD_lookup_connection_value(connection, MHD_COOKIE_KIND, host->cookie_name);
    return cookie != NULL && is_token(host->token, cookie, strlen(cookie));
}

/* 0: the token was shown; 303: it stands in the URL; 401. */
static unsigned token_status(const struct host *host, struct MHD_Connection *connection,
                             const char *method, const char *query) {
    const char *authorization = header(connection, "Authorization");
    if (authorization != NULL) {
        bool is_right = strncasecmp(authorization, "Bearer ", 7) == 0 &&
                        is_token(host->token, authorization + 7, strlen(authorization + 7));
        return is_right ? 0 : 401;
    }
    bool can_redirect = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    const char *parameter;
    size_t length;
    while (can_redirect && (parameter = next_parameter(&query, &length)) != NULL) {
        if (is_token_parameter(parameter))
            return is_token(host->token, parameter + 6, length - 6) ? 303 : 401;
    }
    return is_cookie_right(host, connection) ? 0 : 401;
}

struct verdict guard_check(const struct host *host, struct MHD_Connection *connection,
                           const char *method, const struct request *request) {
    struct verdict verdict = {.origin = origin_asked(host, header(connection, "Host"))};
    if (verdict.origin == NULL) {
        verdict.status = 421;
        verdict.detail = "The Host header is none of this server's own names. Use the address that "
                         "it printed at its start, or name another one with --public-url.";
    } else if (is_from_another_site(host, connection)) {
        verdict.status = 403;
        verdict.detail = "The request comes from a page of another site (Sec-Fetch-Site, Origin or "
                         "Referer say so). Open the URL from the address bar.";
    } else {
        verdict.status = token_status(host, connection, method, request->query);
        verdict.detail = "The token is missing or wrong. Send it as \"Authorization: Bearer "
                         "TOKEN\", or open the URL with ?token= once in a browser.";
    }
    return verdict;
}

/*
 * Moves the token from the URL into a cookie. The location is relative to the request's own path,
 * so it holds behind a proxy that puts something before the path, and leads to no other site.
 */
struct MHD_Response *guard_redirect(const struct host *host, const struct request *request,
                                    const char *origin) {
    size_t capacity = strlen(request->target) + sizeof("./?");
    char *location = malloc(capacity);
    char cookie[TOKEN_CAPACITY + 128];
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    if (location == NULL || response == NULL) {
        free(location);
        if (response != NULL)
            MHD_destroy_response(response);
        return NULL;
    }

    size_t segment = request->path_length;
    while (segment > 0 && request->target[segment - 1] != '/')
        segment--;
    size_t used =
        (size_t)snprintf(location, capacity, "./%.*s", (int)(request->path_length - segment),
                         request->target + segment);
    const char *query = request->query;
    const char *parameter;
    size_t length;
    char separator = '?';
    while ((parameter = next_parameter(&query, &length)) != NULL) {
        if (is_token_parameter(parameter))
            continue;
        used += (size_t)snprintf(location + used, capacity - used, "%c%.*s", separator, (int)length,
                                 parameter);
        separator = '&';
    }
    snprintf(cookie, sizeof(cookie), "%s=%s; HttpOnly; SameSite=Strict; Path=/%s",
             host->cookie_name, host->token, strncmp(origin, "https:", 6) == 0 ? "; Secure" : "");
    bool is_complete =
        MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, location) == MHD_YES &&
        MHD_add_response_header(response, MHD_HTTP_HEADER_SET_COOKIE, cookie) == MHD_YES;
    free(location);
    if (!is_complete) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}
