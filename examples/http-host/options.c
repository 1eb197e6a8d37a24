/* SPDX-License-Identifier: MIT */
/* The command line and the token. */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_REDACTED_NAMES = 64, MAX_REDACTED_NAME_BYTES = 256 };

static const char usage[] =
    "usage: http-host [OPTIONS]\n"
    "Serves libprocinspect's routes and prints the URL to open.\n"
    "  --listen ADDRESS:PORT  default 127.0.0.1:8780; [::1]:8780; port 0 is any free one\n"
    "  --token-file FILE      its first line is the token; default: a random one, in the URL\n"
    "  --allow WHAT,…         env, dump, kill; default: looking only\n"
    "  --own-user             only processes of the user that this runs as; default: everyone's\n"
    "  --main-site PID        what process id -1 stands for\n"
    "  --public-url URL       under which a proxy serves this: for hrefs, and allowed as Host\n"
    "  --redact NAME,…        environment variables whose values are held back; * at an end\n"
    "  --max-dump-bytes N     larger dumps are refused; default: no limit\n"
    "  --max-dumps N          at once; default 4\n"
    "  --max-pause-ms N       longest stop of a process for a dump; default 5000\n"
    "  --max-connections N    at once; default 64\n"
    "  --help, --version\n";

/* A number of the command line, from 1 to max. */
static const struct number {
    const char *name;
    size_t offset; /* of its uint64_t in struct options */
    uint64_t max;
} numbers[] = {
    {"main-site", offsetof(struct options, main_site_pid), INT32_MAX},
    {"max-dump-bytes", offsetof(struct options, max_dump_bytes), INT64_MAX},
    {"max-dumps", offsetof(struct options, max_dumps), 1000},
    {"max-pause-ms", offsetof(struct options, max_pause_ms), 600000},
    {"max-connections", offsetof(struct options, max_connections), 1000},
};

static bool set_number(const struct number *number, const char *text, struct options *options) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < 1 ||
        value > number->max) {
        fprintf(stderr, "http-host: --%s %s: give a number from 1 to %llu\n", number->name, text,
                (unsigned long long)number->max);
        return false;
    }
    *(uint64_t *)(void *)((char *)options + number->offset) = value;
    return true;
}

/* The next name of a list with commas between; *list goes on behind it. NULL at the end. */
static const char *next_name(const char **list, size_t *length) {
    const char *name = *list + strspn(*list, ",");
    *length = strcspn(name, ",");
    *list = name + *length;
    return *length > 0 ? name : NULL;
}

static bool allow(const char *list, uint32_t *bits) {
    static const char *const names[] = {"env", "dump", "kill"};
    static const uint32_t values[] = {PROCINSPECT_ALLOW_ENVIRONMENT, PROCINSPECT_ALLOW_DUMP,
                                      PROCINSPECT_ALLOW_KILL};
    size_t length;
    for (const char *name; (name = next_name(&list, &length)) != NULL;) {
        size_t i = 0;
        while (i < 3 && (strlen(names[i]) != length || memcmp(name, names[i], length) != 0))
            i++;
        if (i == 3) {
            fprintf(stderr,
                    "http-host: --allow %.*s: give env, dump, kill, or several of them with commas "
                    "between\n",
                    (int)length, name);
            return false;
        }
        *bits |= values[i];
    }
    return true;
}

static bool redact(const char *list, procinspect_context_options *context) {
    static char names[MAX_REDACTED_NAMES][MAX_REDACTED_NAME_BYTES];
    static const char *pointers[MAX_REDACTED_NAMES];
    size_t length;
    for (const char *name; (name = next_name(&list, &length)) != NULL;) {
        size_t i = context->redacted_name_count;
        if (i == MAX_REDACTED_NAMES || length >= MAX_REDACTED_NAME_BYTES) {
            fprintf(stderr,
                    "http-host: --redact: at most %d names of less than %d bytes; use * at an end "
                    "of a name to take several in one\n",
                    MAX_REDACTED_NAMES, MAX_REDACTED_NAME_BYTES);
            return false;
        }
        pointers[i] = memcpy(names[i], name, length);
        context->redacted_name_count++;
    }
    context->redacted_names = pointers;
    return true;
}

static bool public_url(const char *text, const char **value) {
    static char url[ORIGIN_CAPACITY];
    size_t length = strlen(text);
    if (length > 0 && text[length - 1] == '/')
        length--;
    bool is_http = strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
    for (size_t i = 0; i < length; i++)
        is_http =
            is_http && text[i] > ' ' && text[i] < 0x7f && strchr("?#@\"<>\\", text[i]) == NULL;
    if (!is_http || length < 9 || length >= ORIGIN_CAPACITY) {
        fprintf(stderr,
                "http-host: --public-url %s: give an http:// or https:// URL without user, query "
                "and fragment, shorter than %d bytes\n",
                text, ORIGIN_CAPACITY);
        return false;
    }
    snprintf(url, sizeof(url), "%.*s", (int)length, text);
    *value = url;
    return true;
}

/* Leaves argv as it is: it is what this host's own command_line shows. */
static bool set(const char *name, const char *value, struct options *options) {
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(name, numbers[i].name) == 0)
            return set_number(&numbers[i], value, options);
    }
    if (strcmp(name, "allow") == 0)
        return allow(value, &options->context.allow);
    if (strcmp(name, "redact") == 0)
        return redact(value, &options->context);
    if (strcmp(name, "public-url") == 0)
        return public_url(value, &options->public_url);
    *(strcmp(name, "listen") == 0 ? &options->listen : &options->token_file) = value;
    return true;
}

int options_parse(int argc, char **argv, struct options *options) {
    static const struct option long_options[] = {
        {"listen", required_argument, NULL, 0},
        {"token-file", required_argument, NULL, 0},
        {"allow", required_argument, NULL, 0},
        {"own-user", no_argument, NULL, 'o'},
        {"main-site", required_argument, NULL, 0},
        {"public-url", required_argument, NULL, 0},
        {"redact", required_argument, NULL, 0},
        {"max-dump-bytes", required_argument, NULL, 0},
        {"max-dumps", required_argument, NULL, 0},
        {"max-pause-ms", required_argument, NULL, 0},
        {"max-connections", required_argument, NULL, 0},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    *options = (struct options){.listen = "127.0.0.1:8780", .max_connections = 64};
    procinspect_context_options_init(&options->context, sizeof(options->context));
    options->context.user_scope = PROCINSPECT_USER_SCOPE_ALL;

    int option;
    int index;
    while ((option = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        if (option == 'h' || option == 'v') {
            printf("%s%s", option == 'h' ? usage : procinspect_version_text(),
                   option == 'h' ? "" : "\n");
            return 0;
        }
        if (option == 'o')
            options->context.user_scope = PROCINSPECT_USER_SCOPE_OWN;
        else if (option == '?' || !set(long_options[index].name, optarg, options))
            return 2;
    }
    if (optind < argc) {
        fprintf(stderr, "http-host: %s: not an option; --help lists them\n", argv[optind]);
        return 2;
    }
    options->context.max_dump_bytes = options->max_dump_bytes;
    options->context.max_concurrent_dumps = (uint32_t)options->max_dumps;
    options->context.max_pause_ms = (uint32_t)options->max_pause_ms;
    return -1;
}

bool token_read(const char *path, char token[TOKEN_CAPACITY]) {
    struct stat status;
    FILE *file = fopen(path, "re");
    if (file == NULL || fstat(fileno(file), &status) != 0) {
        fprintf(stderr, "http-host: --token-file %s: %s\n", path, strerror(errno));
        if (file != NULL)
            fclose(file);
        return false;
    }
    bool is_private = !S_ISREG(status.st_mode) || (status.st_mode & 077) == 0;
    char line[TOKEN_CAPACITY + 1] = "";
    bool is_read = fgets(line, sizeof(line), file) != NULL;
    fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    size_t length = strlen(line);
    static const char characters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    if (!is_private)
        fprintf(stderr, "http-host: --token-file %s: other users can use it; chmod 600 it\n", path);
    else if (!is_read || length < 16 || length >= TOKEN_CAPACITY ||
             strspn(line, characters) != length)
        fprintf(stderr,
                "http-host: --token-file %s: its first line has to be 16 to %d letters, "
                "digits, '-', '.', '_' or '~', such as `openssl rand -hex 16` makes\n",
                path, TOKEN_CAPACITY - 1);
    else
        memcpy(token, line, length + 1);
    return token[0] != '\0';
}

bool token_make(char token[TOKEN_CAPACITY]) {
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        fprintf(stderr, "http-host: no random bytes for a token: %s\n", strerror(errno));
        return false;
    }
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(token + 2 * i, 3, "%02x", bytes[i]);
    return true;
}
