/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "json/object.h"

/* The reason phrases of the statuses that the routes and a host around them answer. */
static const char *title_of(uint32_t status) {
    static const struct {
        uint32_t status;
        const char *phrase;
    } titles[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {421, "Misdirected Request"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        if (titles[i].status == status)
            return titles[i].phrase;
    return status < 500 ? "Client Error" : "Server Error";
}

static json_t *problem_object(pi_json_document *document, uint32_t status, const char *detail) {
    json_t *object = json_object();
    pi_json_set(document, object, "type", json_string_nocheck("about:blank"));
    pi_json_set(document, object, "title", json_string_nocheck(title_of(status)));
    pi_json_set(document, object, "status", json_integer(status));
    json_t *text = pi_json_text(document, detail);
    pi_json_set(document, object, "detail", json_incref(text));
    pi_json_set(document, object, "Message", json_incref(text));
    pi_json_set(document, object, "ExceptionMessage", text);
    return object;
}

static int32_t begin_problem(pi_json_document *document, const char *function, uint32_t status,
                             const char *detail, const procinspect_json_options *options,
                             const procinspect_json *const *json, procinspect_error *error) {
    if (status < 400 || status > 599)
        return pi_error_set(error, PROCINSPECT_ERROR_INVALID_ARGUMENT, 0,
                            "%s: status %u is none of an error; use 400 to 599.", function,
                            (unsigned)status);
    return pi_json_document_begin(document, function, detail, json, options, error);
}

int32_t procinspect_json_problem(uint32_t status, const char *detail,
                                 const procinspect_json_options *options,
                                 const procinspect_json **json, procinspect_error *error) {
    pi_json_document document;
    int32_t code =
        begin_problem(&document, "procinspect_json_problem", status, detail, options, json, error);
    if (code != PROCINSPECT_OK)
        return code;
    return pi_json_document_end(&document, problem_object(&document, status, detail), json, error);
}

int32_t procinspect_json_kill_problem(uint32_t status, const char *detail,
                                      const procinspect_kill_report *report,
                                      const procinspect_json_options *options,
                                      const procinspect_json **json, procinspect_error *error) {
    pi_json_document document;
    int32_t code = begin_problem(&document, "procinspect_json_kill_problem", status,
                                 report != NULL ? detail : NULL, options, json, error);
    if (code != PROCINSPECT_OK)
        return code;
    json_t *object = problem_object(&document, status, detail);
    pi_json_set(&document, object, "report", pi_json_kill_report(&document, report));
    return pi_json_document_end(&document, object, json, error);
}
