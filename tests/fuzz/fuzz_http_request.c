/* SPDX-License-Identifier: MIT */
#include <procinspect.h>
#include <string.h>

#include "folders.h"
#include "fuzz/fuzz.h"

/* The handler on requests of any bytes: "METHOD NUL COOKIE NUL PATH[?QUERY]", over a recorded
 * /proc. */

/* The process of the seeds is there, or no handler would get past opening it. */
static void expect_process(const procinspect_http *http) {
    static const char path[] = "/api/processes/17/environments/all";
    procinspect_http_request request;
    procinspect_http_request_init(&request, sizeof request);
    request.method = "GET";
    request.path = path;
    request.path_length_bytes = sizeof path - 1;
    const procinspect_http_response *response;
    FUZZ_EXPECT(procinspect_http_handle(http, &request, &response, NULL) == 0);
    FUZZ_EXPECT(response->status == 200);
    procinspect_http_response_free(response);
}

static procinspect_http *make_handler(void) {
    procinspect_context_options options;
    procinspect_context_options_init(&options, sizeof options);
    options.proc_root = TESTS_SOURCE_DIR "/fixtures/proc-recorded";
    options.user_scope = PROCINSPECT_USER_SCOPE_ALL;
    options.allow = PROCINSPECT_ALLOW_ENVIRONMENT | PROCINSPECT_ALLOW_DUMP;
    procinspect_http_options http_options;
    procinspect_http_options_init(&http_options, sizeof http_options);
    http_options.instance_id = "abc";
    http_options.main_site_pid = 17;
    procinspect_context *context;
    procinspect_http *http;
    FUZZ_EXPECT(procinspect_context_new(&options, &context, NULL) == 0);
    FUZZ_EXPECT(procinspect_http_new(context, &http_options, &http, NULL) == 0);
    procinspect_context_free(context);
    expect_process(http);
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
        SEED("GET\0a\0http://host:80/api/processes/17?redact=false"),
        SEED("HEAD\0\0/API/diagnostics/processes/-1/threads/19/"),
        SEED("GET\0\0/api/processes/17/threads"),
        SEED("GET\0\0/api/processes/17/modules"),
        SEED("GET\0ARRAffinity=x\0/diagnostics/processes/%31%37/modules/0x7F00abc"),
        SEED("GET\0a\0/api/processes/17/environments/pa%74h?redact=True"),
        SEED("GET\0a\0/api/processes/17/dump?dumpType=0x10&format=raw&dryRun=false"),
        SEED("HEAD\0a\0/api/processes/17/dump"),
        SEED("DELETE\0a\0/api/processes/17?grace=5"),
        SEED("POST\0a\0/api/processes/17/stop"),
        SEED("PUT\0a\0/api/processes/17/profile/start"),
    };
#undef SEED
    if (index >= sizeof seeds / sizeof seeds[0] || seeds[index].length > capacity)
        return 0;
    memcpy(buffer, seeds[index].bytes, seeds[index].length);
    return seeds[index].length;
}
