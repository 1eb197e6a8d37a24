/* SPDX-License-Identifier: MIT */
#include "http/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "http/response.h"
#include "http/values.h"

enum {
    LONGEST_INSTANCE_ID = 128,
    INSTANCE_PREFIX_LENGTH = 6,
    LONGEST_NAME_PART = 64,
    HOST_NAME_CAPACITY = 256 /* POSIX: names are at most 255 bytes */
};

static const char affinity_cookie[] = "ARRAffinity";

/* Without regard to the locale, which could call other bytes letters. */
static bool is_safe(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.';
}

static int32_t check_instance_id(const char *id, const char *source, procinspect_error *error) {
    size_t length = strlen(id);
    size_t safe = 0;
    while (safe < length && is_safe(id[safe]))
        safe++;
    if (safe == length && length <= LONGEST_INSTANCE_ID)
        return PROCINSPECT_OK;
    char quote[PI_HTTP_QUOTE_CAPACITY];
    return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                        "%s is '%s'; use at most %d letters, digits, '-', '_' and '.'.", source,
                        pi_http_quote(quote, (pi_http_text){id, length}), LONGEST_INSTANCE_ID);
}

/* The first safe characters of the text. */
static char *safe_prefix(pi_arena *arena, const char *text) {
    char prefix[INSTANCE_PREFIX_LENGTH + 1];
    size_t length = 0;
    for (; *text != '\0' && length < INSTANCE_PREFIX_LENGTH; text++)
        if (is_safe(*text))
            prefix[length++] = *text;
    return pi_arena_copy(arena, prefix, length);
}

int32_t pi_http_settle_instance(procinspect_http *http, pi_arena *arena, procinspect_error *error) {
    const char *source = "instance_id";
    const char *id = http->options.instance_id;
    if (id == NULL) {
        source = "The environment variable WEBSITE_INSTANCE_ID";
        id = getenv("WEBSITE_INSTANCE_ID");
    }
    if (id != NULL && id[0] != '\0') {
        int32_t code = check_instance_id(id, source, error);
        if (code != PROCINSPECT_OK)
            return code;
        http->instance_id = pi_arena_copy(arena, id, strlen(id));
        http->instance_prefix = safe_prefix(arena, id);
        return http->instance_id != NULL && http->instance_prefix != NULL
                   ? PROCINSPECT_OK
                   : pi_error_no_memory(error);
    }
    char host_name[HOST_NAME_CAPACITY + 1] = "";
    if (gethostname(host_name, HOST_NAME_CAPACITY) != 0)
        host_name[0] = '\0';
    http->instance_prefix = safe_prefix(arena, host_name);
    return http->instance_prefix != NULL ? PROCINSPECT_OK : pi_error_no_memory(error);
}

/* Does the Cookie header ("a=1; b=2") have the affinity cookie with this value? */
static bool has_affinity(const char *cookie, const char *instance_id) {
    size_t name_length = strlen(affinity_cookie);
    size_t id_length = strlen(instance_id);
    while (cookie != NULL && *cookie != '\0') {
        cookie += strspn(cookie, "; ");
        size_t length = strcspn(cookie, ";");
        if (length == name_length + 1 + id_length &&
            memcmp(cookie, affinity_cookie, name_length) == 0 && cookie[name_length] == '=' &&
            memcmp(cookie + name_length + 1, instance_id, id_length) == 0)
            return true;
        cookie += length;
    }
    return false;
}

int32_t pi_http_add_instance_headers(pi_http_exchange *exchange, procinspect_error *error) {
    const char *id = exchange->http->instance_id;
    if (id == NULL)
        return PROCINSPECT_OK;
    int32_t code = pi_http_response_add_header(exchange->response, "X-Instance-Id", id, error);
    if (code != PROCINSPECT_OK || has_affinity(exchange->request.cookie, id))
        return code;
    const char *base_url = exchange->request.base_url;
    bool is_secure = base_url != NULL && strncmp(base_url, "https:", 6) == 0;
    char cookie[LONGEST_INSTANCE_ID + 64];
    snprintf(cookie, sizeof cookie, "%s=%s; Path=/; HttpOnly; SameSite=Lax%s", affinity_cookie, id,
             is_secure ? "; Secure" : "");
    return pi_http_response_add_header(exchange->response, "Set-Cookie", cookie, error);
}

void pi_http_dump_file_name(const procinspect_http *http, const char *process_name, time_t now,
                            const char *extension, char file_name[PI_HTTP_FILE_NAME_CAPACITY]) {
    char name[LONGEST_NAME_PART + 1];
    size_t length = 0;
    for (const char *each = process_name; each != NULL && *each != '\0'; each++)
        if (length < LONGEST_NAME_PART && is_safe(*each))
            name[length++] = *each;
    name[length] = '\0';
    struct tm parts = {0};
    gmtime_r(&now, &parts);
    char when[32];
    strftime(when, sizeof when, "%m-%d-%H-%M-%S", &parts);
    snprintf(file_name, PI_HTTP_FILE_NAME_CAPACITY, "%s-%s-%s.%s", length != 0 ? name : "process",
             http->instance_prefix, when, extension);
}
