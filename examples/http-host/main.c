/* SPDX-License-Identifier: MIT */
/* Reads the options, opens socket, library and server, prints the URL, and waits for SIGTERM. */
#include "host.h"

#include <argp.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MAX_REDACTED_NAMES = 64,
    CLIENT_TIMEOUT_S = 30, /* a client that moves no byte for this long is given up */
    /* For the request line and headers of one connection: a URL of 1 MiB has room, so that it is
     * the library that says what is wrong with it. Memory is taken only as far as a client fills
     * it. */
    CONNECTION_MEMORY_BYTES = 1088 << 10,
    /* What the library opens to answer requests, and what is open already. */
    OTHER_DESCRIPTORS = 32
};

static struct host host;
static struct {
    const char *listen;
    const char *token_file; /* NULL: a random token */
    unsigned max_connections;
    procinspect_context_options context;
    procinspect_http_options http;
} options = {.listen = "127.0.0.1:8780", .max_connections = 64};

static const struct argp_option option_table[] = {
    {"listen", 'l', "ADDRESS:PORT", 0, "Default 127.0.0.1:8780; port 0 is any free one", 0},
    {"token-file", 't', "FILE", 0, "Its first line is the token; default: a random one", 0},
    {"allow", 'a', "WHAT,...", 0, "env, dump, kill; default: looking only", 0},
    {"own-user", 'o', NULL, 0, "Only processes of the user that this runs as", 0},
    {"main-site", 'm', "PID", 0, "What process id -1 stands for", 0},
    {"public-url", 'u', "URL", 0, "Under which a proxy serves this: for hrefs and Host", 0},
    {"redact", 'r', "NAME,...", 0, "Variables to hold back; * at an end: any text", 0},
    {"max-dump-bytes", 'b', "N", 0, "Larger dumps are refused; default: no limit", 0},
    {"max-dumps", 'd', "N", 0, "At once; default 4", 0},
    {"max-pause-ms", 'p', "N", 0, "Longest stop for a dump; default 5000", 0},
    {"support-files", 's', "none|host|target", 0,
     "The debugger's files in a zip, and who may provide them; default host", 0},
    {"spool-directory", 'S', "DIR", 0,
     "For memory of large processes that can't be copied; default: they are refused", 0},
    {"max-connections", 'c', "N", 0, "At once; default 64", 0},
    {0},
};

static uint64_t number(struct argp_state *state, const char *name, const char *text, uint64_t max) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < 1 || value > max)
        argp_error(state, "--%s %s: give a number from 1 to %llu", name, text,
                   (unsigned long long)max);
    return value;
}

/* Of a copy, as the names below are: this host's own command_line shows argv. */
static uint32_t allowed(struct argp_state *state, const char *list) {
    uint32_t bits = 0;
    for (char *what, *rest = strdupa(list); (what = strsep(&rest, ",")) != NULL;) {
        if (strcmp(what, "env") == 0)
            bits |= PROCINSPECT_ALLOW_ENVIRONMENT;
        else if (strcmp(what, "dump") == 0)
            bits |= PROCINSPECT_ALLOW_DUMP;
        else if (strcmp(what, "kill") == 0)
            bits |= PROCINSPECT_ALLOW_KILL;
        else
            argp_error(state, "--allow %s: give env, dump, kill, with commas between", what);
    }
    return bits;
}

static void redact(struct argp_state *state, const char *list) {
    static const char *names[MAX_REDACTED_NAMES];
    options.context.redacted_names = names;
    for (char *rest = strdup(list); rest != NULL;) {
        if (options.context.redacted_name_count == MAX_REDACTED_NAMES)
            argp_error(state, "--redact: at most %d names; one with * at an end stands for several",
                       MAX_REDACTED_NAMES);
        names[options.context.redacted_name_count++] = strsep(&rest, ",");
    }
}

static uint32_t zip_flags(struct argp_state *state, const char *who) {
    if (strcmp(who, "none") == 0)
        return PROCINSPECT_ZIP_NO_SUPPORT_FILES;
    if (strcmp(who, "target") == 0)
        return PROCINSPECT_ZIP_FROM_TARGET;
    if (strcmp(who, "host") != 0)
        argp_error(state, "--support-files %s: give none, host or target", who);
    return 0;
}

/* Without a slash at its end. */
static const char *url(struct argp_state *state, const char *text) {
    static const char characters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%:/[]";
    size_t length = strlen(text);
    size_t start = strncmp(text, "https://", 8) == 0 ? 8 : 7; /* of the host's name */
    if ((start == 7 && strncmp(text, "http://", 7) != 0) || text[start] == '\0' ||
        text[start] == '/' || strspn(text, characters) != length)
        argp_error(state, "--public-url %s: give an http:// or https:// URL without user and query",
                   text);
    return strndup(text, length - (text[length - 1] == '/'));
}

static error_t set_option(int key, char *text, struct argp_state *state) {
    if (key == 'l')
        options.listen = text;
    else if (key == 't')
        options.token_file = text;
    else if (key == 'a')
        options.context.allow = allowed(state, text);
    else if (key == 'o')
        options.context.user_scope = PROCINSPECT_USER_SCOPE_OWN;
    else if (key == 'm')
        options.http.main_site_pid = (int32_t)number(state, "main-site", text, INT32_MAX);
    else if (key == 'u')
        host.public_url = url(state, text);
    else if (key == 'r')
        redact(state, text);
    else if (key == 'b')
        options.context.max_dump_bytes = number(state, "max-dump-bytes", text, INT64_MAX);
    else if (key == 'd')
        options.context.max_concurrent_dumps = (uint32_t)number(state, "max-dumps", text, 1000);
    else if (key == 'p')
        options.context.max_pause_ms = (uint32_t)number(state, "max-pause-ms", text, 600000);
    else if (key == 's')
        options.http.zip_flags = zip_flags(state, text);
    else if (key == 'S')
        options.context.spool_directory = text;
    else if (key == 'c')
        options.max_connections = (unsigned)number(state, "max-connections", text, 1000);
    else if (key == ARGP_KEY_ARG)
        argp_error(state, "%s is not an option", text);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static void read_options(int argc, char **argv) {
    static const struct argp parser = {
        .options = option_table,
        .parser = set_option,
        .doc = "Serves libprocinspect's routes and prints the URL to open."};
    procinspect_context_options_init(&options.context, sizeof(options.context));
    options.context.user_scope = PROCINSPECT_USER_SCOPE_ALL;
    procinspect_http_options_init(&options.http, sizeof(options.http));
    options.http.main_site_setting = "--main-site";
    argp_program_version = procinspect_version_text();
    argp_err_exit_status = 2;
    argp_parse(&parser, argc, argv, 0, NULL, NULL);
}

/* Gives the socket, and its address and port as text. */
static int listen_on(const char *text, char address[64], char port[6]) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found;
    int end = 0;
    if (sscanf(text, "[%63[0-9a-fA-F:.]]:%5[0-9]%n", address, port, &end) < 2)
        sscanf(text, "%63[0-9.]:%5[0-9]%n", address, port, &end);
    if (end == 0 || text[end] != '\0' || atoi(port) > 65535 ||
        getaddrinfo(address, port, &hints, &found) != 0)
        errx(2, "--listen %s: give a numeric address and a port, such as 127.0.0.1:8780", text);
    int enabled = 1;
    int listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &enabled, sizeof(enabled)) != 0 ||
        bind(listener, found->ai_addr, found->ai_addrlen) != 0 || listen(listener, 64) != 0 ||
        getsockname(listener, found->ai_addr, &found->ai_addrlen) != 0)
        errx(2, "--listen %s: %s; choose another address or port (0: any)", text, strerror(errno));
    getnameinfo(found->ai_addr, found->ai_addrlen, address, 64, port, 6,
                NI_NUMERICHOST | NI_NUMERICSERV);
    freeaddrinfo(found);
    if (strncmp(address, "127.", 4) != 0 && strcmp(address, "::1") != 0)
        warnx("warning: %s can be reached from the network, without encryption: put a proxy with "
              "TLS before it (--public-url)",
              address);
    return listener;
}

static void open_library(void) {
    procinspect_context *context;
    procinspect_error error;
    if (procinspect_context_new(&options.context, &context, &error) != 0 ||
        procinspect_http_new(context, &options.http, &host.http, &error) != 0 ||
        procinspect_cancellation_new(&host.stopping, &error) != 0)
        errx(2, "%s", error.message);
    procinspect_context_free(context);
}

/*
 * As many threads as connections, each for one at a time, all of them started now: a slow client or
 * a slow kill keeps only itself waiting, and requests are answered when the system has no threads
 * and processes left. Who comes when all are busy waits for a free one.
 */
static struct MHD_Daemon *start(int listener) {
    unsigned count = options.max_connections;
    unsigned descriptors = 2 * count + OTHER_DESCRIPTORS;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < descriptors)
        errx(1, "%u connections take %u descriptors: raise ulimit -n, or lower --max-connections",
             count, descriptors);
    /* The time of a capture counts as silence. */
    unsigned timeout_s = CLIENT_TIMEOUT_S + options.context.max_pause_ms / 1000;
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL, handle_request, &host,
        MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_THREAD_POOL_SIZE, count,
        MHD_OPTION_CONNECTION_LIMIT, count, MHD_OPTION_CONNECTION_TIMEOUT, timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
        MHD_OPTION_URI_LOG_CALLBACK, handle_target, &host, MHD_OPTION_NOTIFY_CONNECTION,
        handle_connection, &host, MHD_OPTION_END);
    if (daemon == NULL)
        err(1, "%u threads don't start: raise ulimit -u, or lower --max-connections", count);
    return daemon;
}

/*
 * Waits for a signal to end. One descriptor is kept back meanwhile: where the system gives no more,
 * it is given up for a client that waits for its connection, and the library answers him so.
 */
static void wait_for(const sigset_t *signals, int listener, int reserve) {
    struct pollfd pending = {.fd = listener, .events = POLLIN};
    const struct timespec interval = {.tv_nsec = 250000000};
    while (sigtimedwait(signals, NULL, &interval) < 0) {
        if (reserve < 0) {
            reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
        } else if (poll(&pending, 1, 0) > 0) {
            int another = open("/dev/null", O_RDONLY | O_CLOEXEC);
            close(another >= 0 ? another : reserve);
            reserve = another >= 0 ? reserve : -1;
        }
    }
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    guard_set_token(&host, options.token_file);
    char address[64];
    char port[6];
    int listener = listen_on(options.listen, address, port);
    int reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    guard_set_names(&host, address, port);
    open_library();

    sigset_t stop; /* blocked in all threads, and waited for in this one */
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);

    struct MHD_Daemon *daemon = start(listener);
    bool is_shown = options.token_file == NULL;
    printf("%s/%s%s\n", host.origins[0], is_shown ? "?token=" : "", is_shown ? host.token : "");
    fflush(stdout);
    wait_for(&stop, listener, reserve);
    procinspect_cancellation_request(host.stopping);
    MHD_stop_daemon(daemon);
    procinspect_cancellation_free(host.stopping);
    procinspect_http_free(host.http);
    return 0;
}
