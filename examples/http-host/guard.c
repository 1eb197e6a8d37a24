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

void guard_set_token(struct host *host, const char *file_path) {
    if (file_path == NULL) {
        unsigned char bytes[16];
        if (getentropy(bytes, sizeof(bytes)) != 0)
            err(1, "no random bytes for a token");
        for (size_t i = 0; i < sizeof(bytes); i++)
            snprintf(host->token + 2 * i, 3, "%02x", bytes[i]);
        explicit_bzero(bytes, sizeof(bytes));
        return;
    }
    struct stat status;
    FILE *file = fopen(file_path, "re");
    if (file == NULL || fstat(fileno(file), &status) != 0)
        err(2, "--token-file %s", file_path);
    if (S_ISREG(status.st_mode) && (status.st_mode & 077) != 0)
        errx(2, "--token-file %s: other users can use it; chmod 600 it", file_path);
    char end = '\n';
    int count = fscanf(file, "%256[-A-Za-z0-9._~]%c", host->token, &end);
    if (count < 1 || strlen(host->token) < 16 || (end != '\n' && end != '\r'))
        errx(2,
             "--token-file %s: its first line has to be 16 to 256 letters, digits, '-', '.', '_' "
             "or '~', such as `openssl rand -hex 16` makes",
             file_path);
    fclose(file);
}

/* The port that a URL means where it names none. */
static const char *port_of_scheme(const char *url) {
    return strncmp(url, "https:", 6) == 0 ? ":443" : ":80";
}

/* The origin of a URL as browsers write it: without the scheme's own port. */
static const char *origin_of(const char *url) {
    size_t scheme_length = strcspn(url, ":") + strlen("://");
    size_t length = scheme_length + strcspn(url + scheme_length, "/");
    const char *port = port_of_scheme(url);
    size_t without_port = length - strlen(port);
    if (strncmp(url + without_port, port, strlen(port)) == 0)
        length = without_port;
    return strndup(url, length);
}

/* The names that the host answers to: where it listens, localhost, and the public URL. */
void guard_set_names(struct host *host, const char *address, const char *port) {
    char url[100];
    if (strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0)
        address = address[0] == ':' ? "::1" : "127.0.0.1";
    snprintf(url, sizeof(url), strchr(address, ':') ? "http://[%s]:%s" : "http://%s:%s", address,
             port);
    host->origins[0] = origin_of(url);
    snprintf(url, sizeof(url), "http://localhost:%s", port);
    host->origins[1] = origin_of(url);
    if (host->public_url != NULL)
        host->origins[2] = origin_of(host->public_url);
    /* Cookies know no ports: two hosts on one machine need two names. */
    snprintf(host->cookie_name, sizeof(host->cookie_name), "procinspect-%s", port);
    for (int is_https = 0; is_https < 2; is_https++)
        snprintf(host->set_cookie[is_https], sizeof(host->set_cookie[0]),
                 "%s=%s; HttpOnly; SameSite=Strict; Path=/%s", host->cookie_name, host->token,
                 is_https ? "; Secure" : "");
}

/* Is this URL, of an Origin or Referer header, of that origin? */
static bool is_url_of(const char *origin, const char *url) {
    size_t length = strlen(origin);
    return strncasecmp(url, origin, length) == 0 && (url[length] == '\0' || url[length] == '/');
}

/* Does this Host header name that origin's host and port? Browsers leave the scheme's own port out,
 * other clients may not. */
static bool is_host_of(const char *origin, const char *name) {
    const char *own = strstr(origin, "//") + 2;
    const char *colon = strrchr(own, ':');
    bool has_port = colon != NULL && strchr(colon, ']') == NULL; /* "[::1]" has none */
    size_t length = strlen(own);
    return strncasecmp(name, own, length) == 0 &&
           (name[length] == '\0' ||
            (!has_port && strcmp(name + length, port_of_scheme(origin)) == 0));
}

/* The one of our origins that a header is of; NULL: none. */
static const char *own_origin(const struct host *host, const char *text,
                              bool (*is_of)(const char *origin, const char *text)) {
    for (size_t i = 0; text != NULL && i < ORIGIN_COUNT && host->origins[i] != NULL; i++)
        if (is_of(host->origins[i], text))
            return host->origins[i];
    return NULL;
}

static const char *header(struct MHD_Connection *connection, const char *name) {
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static bool is_from_another_site(const struct host *host, struct MHD_Connection *connection) {
    const char *site = header(connection, "Sec-Fetch-Site");
    const char *origin = header(connection, "Origin");
    const char *referer = header(connection, "Referer");
    return (site != NULL && strcmp(site, "none") != 0 && strcmp(site, "same-origin") != 0) ||
           (origin != NULL && own_origin(host, origin, is_url_of) == NULL) ||
           (referer != NULL && own_origin(host, referer, is_url_of) == NULL);
}

/* Takes as long for any text of one length, however much of the token it has right. */
static bool is_token(const struct host *host, const char *text) {
    size_t length = strlen(text);
    unsigned difference = strlen(host->token) != length;
    for (size_t i = 0; host->token[i] != '\0'; i++)
        difference |= (unsigned char)host->token[i] ^ (i < length ? (unsigned char)text[i] : 0U);
    return difference == 0;
}

/* Takes the token out of the query, and leaves none of it behind the end, where functions of
 * string.h read on: 303 where it is right, 401 where not, 0 where there is none. */
static unsigned take_token(const struct host *host, char *query) {
    unsigned status = 0;
    const char *query_end = query != NULL ? query + strlen(query) : NULL;
    char *end = query;
    for (char *part, *rest = query; (part = strsep(&rest, "&")) != NULL;) {
        if (strncmp(part, "token=", 6) == 0) {
            if (status == 0)
                status = is_token(host, part + 6) ? 303 : 401;
            continue;
        }
        size_t length = strlen(part);
        if (end != query)
            *end++ = '&';
        memmove(end, part, length);
        end += length;
    }
    if (query != NULL)
        memset(end, '\0', (size_t)(query_end - end));
    return status;
}

unsigned guard_check(const struct host *host, struct MHD_Connection *connection, const char *method,
                     struct request *request) {
    request->origin = own_origin(host, header(connection, "Host"), is_host_of);
    if (request->origin == NULL)
        return 421;
    if (is_from_another_site(host, connection))
        return 403;
    unsigned status = take_token(host, request->query);
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
    const char *slash = strrchr(request->path, '/');
    bool has_query = request->query != NULL && request->query[0] != '\0';
    bool is_https = strncmp(request->origin, "https:", 6) == 0;
    char *location;
    if (asprintf(&location, "./%s%s%s", slash != NULL ? slash + 1 : request->path,
                 has_query ? "?" : "", has_query ? request->query : "") < 0)
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
