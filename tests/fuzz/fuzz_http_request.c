/* SPDX-License-Identifier: MIT */
#include <procinspect.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/fuzz.h"

/* The handler on requests of any bytes: "METHOD NUL COOKIE NUL PATH[?QUERY]", over a recorded /proc
 * without processes. */

static char root[] = "/tmp/procinspect-fuzz-XXXXXX";
static char stat_path[64];

static void remove_root(void) {
    unlink(stat_path);
    rmdir(root);
}

static procinspect_http *make_handler(void) {
    FUZZ_EXPECT(mkdtemp(root) != NULL);
    snprintf(stat_path, sizeof stat_path, "%s/stat", root);
    FUZZ_EXPECT(atexit(remove_root) == 0);
    FILE *file = fopen(stat_path, "w");
    FUZZ_EXPECT(file != NULL && fputs("btime 1\n", file) >= 0 && fclose(file) == 0);

    procinspect_context_options options;
    procinspect_context_options_init(&options, sizeof options);
    options.proc_root = root;
    options.user_scope = PROCINSPECT_USER_SCOPE_ALL;
    procinspect_http_options http_options;
    procinspect_http_options_init(&http_options, sizeof http_options);
    http_options.instance_id = "abc";
    procinspect_context *context;
    procinspect_http *http;
    FUZZ_EXPECT(procinspect_context_new(&options, &context, NULL) == 0);
    FUZZ_EXPECT(procinspect_http_new(context, &http_options, &http, NULL) == 0);
    procinspect_context_free(context);
    return http;
}

/* Cuts the text up to the next NUL off; NULL where there is none. */
static const char *cut_text(const char **at, const char *end) {
    const char *text = *at;
    const char *nul = memchr(text, '\0', (size_t)(end - text));
    if (nul == NULL)
        return NULL;
    *at = nul + 1;
    return text;
}

static void check_response(const procinspect_http_response *response) {
    FUZZ_EXPECT(response->status >= 200 && response->status < 600);
    for (size_t i = 0; i < response->header_count; i++)
        for (const char *each = response->headers[i]->value; *each != '\0'; each++)
            FUZZ_EXPECT((unsigned char)*each >= 0x20 && *each != 0x7f);
    if (response->body == NULL)
        return;
    char buffer[4096];
    size_t length;
    uint64_t total = 0;
    do {
        FUZZ_EXPECT(procinspect_stream_read(response->body, buffer, sizeof buffer, &length, NULL) ==
                    0);
        total += length;
    } while (length != 0);
    FUZZ_EXPECT(response->body_size_bytes == (int64_t)total);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static procinspect_http *http;
    if (http == NULL)
        http = make_handler();
    const char *at = (const char *)data, *end = at + size;
    procinspect_http_request request;
    procinspect_http_request_init(&request, sizeof request);
    request.method = cut_text(&at, end);
    if (request.method != NULL)
        request.cookie = cut_text(&at, end);
    if (request.cookie == NULL)
        return 0;
    const char *mark = memchr(at, '?', (size_t)(end - at));
    request.path = at;
    request.path_length_bytes = (size_t)((mark != NULL ? mark : end) - at);
    request.query = mark != NULL ? mark + 1 : NULL;
    request.query_length_bytes = mark != NULL ? (size_t)(end - mark - 1) : 0;

    const procinspect_http_response *response;
    FUZZ_EXPECT(procinspect_http_handle(http, &request, &response, NULL) == 0);
    check_response(response);
    procinspect_http_response_free(response);
    return 0;
}

size_t fuzz_seed(size_t index, uint8_t *buffer, size_t capacity) {
#define SEED(text)                                                                                 \
    { text, sizeof(text) - 1 }
    static const struct {
        const char *bytes;
        size_t length;
    } seeds[] = {
        SEED("GET\0ARRAffinity=abc; a=b\0/api/processes?allUsers=true&a=%41+b"),
        SEED("HEAD\0\0/API/diagnostics/processes/-1/threads/42/"),
        SEED("GET\0ARRAffinity=x\0/diagnostics/processes/%30/modules/0x7F00abc"),
        SEED("GET\0a\0/api/processes/1/environments/pa%74h?redact=True"),
        SEED("GET\0a\0/api/processes/1/dump?dumpType=0x10&format=raw&dryRun=false"),
        SEED("DELETE\0a\0/api/processes/1?grace=5"),
        SEED("POST\0a\0/api/processes/1/stop"),
        SEED("PUT\0a\0/api/processes/1/profile/start"),
    };
#undef SEED
    if (index >= sizeof seeds / sizeof seeds[0] || seeds[index].length > capacity)
        return 0;
    memcpy(buffer, seeds[index].bytes, seeds[index].length);
    return seeds[index].length;
}
