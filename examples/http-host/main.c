/* SPDX-License-Identifier: MIT */
/* Opens the socket, the library and the server, prints the URL, and waits for SIGTERM or SIGINT. */
#include "host.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* For the request line and headers of one connection: a URL of 1 MiB has room, so that it is the
 * library that says what is wrong with it. Memory is taken only as far as a client fills it. No
 * more than that, because the server looks through a query of nothing but '&' once for each. */
#define CONNECTION_MEMORY_BYTES ((size_t)1280 << 10)

/* A client that moves no byte for this long is given up. */
#define CLIENT_TIMEOUT_S 30U

static int listen_on(const char *text) {
    char address[64];
    char port[6];
    int end = 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (sscanf(text, "[%63[0-9a-fA-F:.]]:%5[0-9]%n", address, port, &end) < 2)
        sscanf(text, "%63[0-9.]:%5[0-9]%n", address, port, &end);
    if (end == 0 || text[end] != '\0' || strtol(port, NULL, 10) > 65535 ||
        getaddrinfo(address, port, &hints, &found) != 0) {
        fprintf(stderr,
                "http-host: --listen %s: give a numeric address and a port up to 65535, such as "
                "127.0.0.1:8780 or [::1]:8780\n",
                text);
        return -1;
    }
    int enabled = 1;
    int descriptor = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 ||
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &enabled, sizeof(enabled)) != 0 ||
        bind(descriptor, found->ai_addr, found->ai_addrlen) != 0 || listen(descriptor, 64) != 0) {
        fprintf(stderr, "http-host: --listen %s: %s; choose another address or port (0: any)\n",
                text, strerror(errno));
        if (descriptor >= 0)
            close(descriptor);
        descriptor = -1;
    }
    freeaddrinfo(found);
    return descriptor;
}

/* The origin of a URL as browsers write it: without the scheme's own port. */
static void set_origin(char *origin, const char *url) {
    size_t scheme_length = strcspn(url, ":") + strlen("://");
    size_t length = scheme_length + strcspn(url + scheme_length, "/");
    const char *port = strncmp(url, "https:", 6) == 0 ? ":443" : ":80";
    snprintf(origin, ORIGIN_CAPACITY, "%.*s", (int)length, url);
    if (length > strlen(port) && strcmp(origin + length - strlen(port), port) == 0)
        origin[length - strlen(port)] = '\0';
}

/* The names that the host answers to: where it listens, localhost, and the public URL. */
static bool set_names(struct host *host, int descriptor, const char *public_url) {
    struct sockaddr_storage bound;
    struct sockaddr *address = (struct sockaddr *)&bound;
    socklen_t length = sizeof(bound);
    char name[64];
    char port[6];
    char url[ORIGIN_CAPACITY];
    if (getsockname(descriptor, address, &length) != 0 ||
        getnameinfo(address, length, name, sizeof(name), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        fprintf(stderr, "http-host: no address of the listening socket: %s\n", strerror(errno));
        return false;
    }
    if (strncmp(name, "127.", 4) != 0 && strcmp(name, "::1") != 0)
        fprintf(stderr,
                "http-host: warning: %s can be reached from the network, without encryption: put "
                "a proxy with TLS before it (--public-url)\n",
                name);
    if (strcmp(name, "0.0.0.0") == 0 || strcmp(name, "::") == 0)
        snprintf(name, sizeof(name), "%s", address->sa_family == AF_INET6 ? "::1" : "127.0.0.1");
    snprintf(url, sizeof(url), strchr(name, ':') ? "http://[%s]:%s" : "http://%s:%s", name, port);
    set_origin(host->origins[0], url);
    snprintf(url, sizeof(url), "http://localhost:%s", port);
    set_origin(host->origins[1], url);
    if (public_url != NULL)
        set_origin(host->origins[2], public_url);
    host->public_url = public_url;
    /* Cookies know no ports: two hosts on one machine need two names. */
    snprintf(host->cookie_name, sizeof(host->cookie_name), "procinspect-%s", port);
    return true;
}

static bool open_library(struct host *host, const struct options *options) {
    procinspect_context *context;
    procinspect_error error;
    procinspect_http_options http_options;
    procinspect_http_options_init(&http_options, sizeof(http_options));
    http_options.main_site_pid = (int32_t)options->main_site_pid;
    http_options.main_site_setting = "--main-site";
    if (procinspect_context_new(&options->context, &context, &error) != 0) {
        fprintf(stderr, "http-host: %s\n", error.message);
        return false;
    }
    bool is_open = procinspect_http_new(context, &http_options, &host->http, &error) == 0 &&
                   procinspect_cancellation_new(&host->stopping, &error) == 0;
    procinspect_context_free(context);
    if (!is_open)
        fprintf(stderr, "http-host: %s\n", error.message);
    return is_open;
}

static struct MHD_Daemon *start(struct host *host, int descriptor, const struct options *options) {
    /* The time of a capture counts as silence. */
    unsigned timeout_s = CLIENT_TIMEOUT_S + options->context.max_pause_ms / 1000;
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC, 0, NULL, NULL,
        handle_request, host, MHD_OPTION_LISTEN_SOCKET, descriptor, MHD_OPTION_URI_LOG_CALLBACK,
        handle_target, host, MHD_OPTION_UNESCAPE_CALLBACK, handle_unescape, host,
        MHD_OPTION_NOTIFY_CONNECTION, handle_connection, host, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)options->max_connections, MHD_OPTION_CONNECTION_TIMEOUT, timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES, MHD_OPTION_END);
    if (daemon == NULL)
        fprintf(stderr, "http-host: the server doesn't start: %s\n", strerror(errno));
    return daemon;
}

int main(int argc, char **argv) {
    static struct host host; /* not on the stack: a small dump of this process holds the stacks */
    struct options options;
    int status = options_parse(argc, argv, &options);
    if (status >= 0)
        return status;

    int descriptor;
    if (!(options.token_file != NULL ? token_read(options.token_file, host.token)
                                     : token_make(host.token)) ||
        (descriptor = listen_on(options.listen)) < 0)
        return 2;

    /* Blocked in all threads, and waited for in this one. */
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);

    struct MHD_Daemon *daemon = NULL;
    if (set_names(&host, descriptor, options.public_url) && open_library(&host, &options))
        daemon = start(&host, descriptor, &options);
    if (daemon != NULL) {
        printf("%s/%s%s\n", host.origins[0], options.token_file == NULL ? "?token=" : "",
               options.token_file == NULL ? host.token : "");
        fflush(stdout);
        int signal_number;
        sigwait(&stop, &signal_number);
        procinspect_cancellation_request(host.stopping);
        MHD_stop_daemon(daemon);
    }
    procinspect_cancellation_free(host.stopping);
    procinspect_http_free(host.http);
    return daemon != NULL ? 0 : 1;
}
