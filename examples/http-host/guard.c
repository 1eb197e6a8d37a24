/* SPDX-License-Identifier: MIT */
/*
 * Who may ask. A browser on this machine runs the pages of strangers, and they can send requests
 * here: under a name of theirs that they point at this address (refused by Host), or under ours
 * (refused by what browsers say about where a request comes from). Then the token.
 */
#include "host.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>

/* Ends the host where the file's first line is no token. */
void guard_read_token(struct host *host, const char *path) {
    struct stat status;
    FILE *file = fopen(path, "re");
    if (file == NULL || fstat(fileno(file), &status) != 0)
        err(2, "--token-file %s", path);
    if (S_ISREG(status.st_mode) && (status.st_mode & 077) != 0)
        errx(2, "--token-file %s: other users can use it; chmod 600 it", path);
    if (fgets(host->token, TOKEN_CAPACITY, file) == NULL)
        host->token[0] = '\0';
    fclose(file);
    host->token[strcspn(host->token, "\r\n")] = '\0';
    size_t length = strlen(host->token);
    if (length < 16 || length > 256 ||
        strspn(host->token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") !=
            length)
        errx(
            2,
            "--token-file %s: its first line has to be 16 to 256 letters, digits, '-', '.', '_' or "
            "'~', such as `openssl rand -hex 16` makes",
            path);
}

void guard_make_token(struct host *host) {
    unsigned char bytes[16];
    if (getentropy(bytes, sizeof(bytes)) != 0)
        err(1, "no random bytes for a token");
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(host->token + 2 * i, 3, "%02x", bytes[i]);
    explicit_bzero(bytes, sizeof(bytes));
}

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
static bool is_token(const struct host *host, const char *text) {
    size_t length = strlen(text);
    unsigned difference = strlen(host->token) != length;
    for (size_t i = 0; host->token[i] != '\0'; i++)
        difference |= (unsigned char)host->token[i] ^ (i < length ? (unsigned char)text[i] : 0U);
    return difference == 0;
}

/* Takes the token out of the query: 303 where it is right, 401 where not, 0 where there is none. */
static unsigned take_token(const struct host *host, struct request *request) {
    unsigned status = 0;
    char *end = request->query;
    char *rest = request->query;
    for (char *part; (part = strsep(&rest, "&")) != NULL;) {
        if (strncmp(part, "token=", 6) == 0) {
            if (status == 0)
                status = is_token(host, part + 6) ? 303 : 401;
            continue;
        }
        size_t length = strlen(part);
        if (end != request->query)
            *end++ = '&';
        memmove(end, part, length);
        end += length;
    }
    if (end != NULL)
        *end = '\0';
    return status;
}

unsigned guard_check(const struct host *host, struct MHD_Connection *connection, const char *method,
                     struct request *request, const char **detail) {
    request->origin = origin_asked(host, header(connection, "Host"));
    if (request->origin == NULL) {
        *detail = "The Host header is none of this server's own names. Use the address that it "
                  "printed at its start, or name another one with --public-url.";
        return 421;
    }
    if (is_from_another_site(host, connection)) {
        *detail = "The request comes from a page of another site (Sec-Fetch-Site, Origin or "
                  "Referer say so). Open the URL from the address bar.";
        return 403;
    }
    *detail = "The token is missing or wrong. Send it as \"Authorization: Bearer TOKEN\", or open "
              "the URL with ?token= once in a browser.";
    unsigned status = take_token(host, request);
    const char *bearer = header(connection, "Authorization");
    const char *cookie =
        MHD_lookup_connection_value(connection, MHD_COOKIE_KIND, host->cookie_name);
    if (bearer != NULL)
        return strncasecmp(bearer, "Bearer ", 7) == 0 && is_token(host, bearer + 7) ? 0 : 401;
    if (status != 0 && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0))
        return status;
    return cookie != NULL && is_token(host, cookie) ? 0 : 401;
}

/*
 * To the same page, with the token as a cookie. The location is relative to the request's own path,
 * so it holds behind a proxy that puts something before the path, and leads to no other site.
 */
struct MHD_Response *guard_redirect(const struct host *host, const struct request *request) {
    const char *slash = memrchr(request->target, '/', request->path_length);
    const char *page = slash != NULL ? slash + 1 : request->target;
    bool has_query = request->query != NULL && request->query[0] != '\0';
    bool is_https = strncmp(request->origin, "https:", 6) == 0;
    char *location;
    if (asprintf(&location, "./%.*s%s%s", (int)(request->target + request->path_length - page),
                 page, has_query ? "?" : "", has_query ? request->query : "") < 0)
        return NULL;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (response != NULL) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, location);
        MHD_add_response_header(response, MHD_HTTP_HEADER_SET_COOKIE, host->set_cookie[is_https]);
    }
    free(location);
    return response;
}
